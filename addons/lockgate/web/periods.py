"""Lengths of time as persons write them. Pure."""

from __future__ import annotations

import re

PERIOD = re.compile(r"([1-9][0-9]{0,5})([smhd])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def period(text: str) -> float | None:
    """`10m`, `1h` in seconds; None for anything else."""
    found = PERIOD.fullmatch(text)
    return float(found[1]) * UNITS[found[2]] if found else None

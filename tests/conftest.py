"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# A busy machine is no failure. Locally each run tries new cases; in CI all runs try the same.
settings.register_profile("lockgate", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("lockgate")

"""The report of `lockgate whatif` as one page: no scripts, nothing from elsewhere, everything escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
code { overflow-wrap: anywhere; }
.wider { color: #c22; font-weight: 600; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
COLUMNS = ("requests", "role", "rule then", "rule now", "example", "request", "why")
FIGURES = {
    "requests": "requests decided again",
    "same": "come out as before",
    "newly_allowed": "newly allowed",
    "unmasked": "unmasked",
    "unknown": "not known, for want of what was not kept",
    "damaged": "damaged records",
}
WIDER = ("newly_allowed", "unmasked")


def page(result: Mapping[str, Any]) -> str:
    """The HTML document of what `whatif --json` prints."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for each in result["groups"]:
        kinds.setdefault(each["kind"], []).append(each)
    parts = [
        figures(result),
        listing("Not kept", [f"{name}: {count}" for name, count in result["not_kept"].items()]),
        listing("Rules that could not be had", result["rules_not_kept"]),
        *(groups(kind, found) for kind, found in kinds.items()),
        listing("Rules that matched and match no more", result["rules_that_match_no_more"]),
        listing("Rules that matched and are gone", result["rules_gone"]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>What changed rules would have done</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>What changed rules would have done</h1>\n<p>Rules <code>{escape(result['generation'])}</code></p>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def figures(result: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="number{" wider" if name in WIDER and result[name] else ""}">{int(result[name])}</td>'
        f"<td>{escape(label)}</td></tr>\n"
        for name, label in FIGURES.items()
    )
    return f"<table>\n{rows}</table>"


def listing(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li><code>{escape(line)}</code></li>\n" for line in lines)
    return f"<h2>{escape(title)}</h2>\n<ul>\n{items}</ul>" if items else ""


def groups(kind: str, found: Iterable[Mapping[str, Any]]) -> str:
    wider = kind.endswith("-> allow") or kind.startswith("unmasked")
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    rows = "".join(row(each) for each in found)
    title = f"<h2{' class="wider"' if wider else ''}>{escape(kind)}</h2>"
    return f"{title}\n<table>\n<tr>{head}</tr>\n{rows}</table>"


def row(each: Mapping[str, Any]) -> str:
    cells = [each["role"], each["rule_then"], each["rule_now"], each["example"], each["request"], each["why"]]
    shown = "".join(f"<td><code>{escape(str(cell or ''))}</code></td>" for cell in cells)
    return f'<tr><td class="number">{int(each["requests"])}</td>{shown}</tr>\n'

"""Bars of what `scripts/bench proxy` measured, as SVG: one group for each body size, one bar for each proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

COLOURS = {"mitmdump": "#9aa5b1", "lockgate": "#1f6feb", "envoy": "#d4a72c"}
WIDTH, HEIGHT, LEFT, TOP = 360, 150, 60, 40
GAP = 60  # between panels

Row = Mapping[str, Any]


def draw(rows: Sequence[Row]) -> str:
    """The document. `rows` are measurements as `--json` has them."""
    panels = [
        (way, title, key)
        for way in ("reverse", "tunnel")
        for title, key in (("requests/s", "requests_per_second"), ("added p50, ms", "added_p50"))
    ]
    parts = []
    for number, (way, title, key) in enumerate(panels):
        x = LEFT + (number % 2) * (WIDTH + GAP)
        y = TOP + (number // 2) * (HEIGHT + GAP)
        chosen = [row for row in rows if row["way"] == way]
        parts += [f'<g transform="translate({x},{y})">', *panel(f"{way}: {title}", key, chosen), "</g>"]
    for number, (name, colour) in enumerate(COLOURS.items()):
        x = LEFT + number * 120
        parts.append(f'<rect x="{x}" y="6" width="10" height="10" fill="{colour}"/>{text(x + 15, 15, name)}')
    size = (LEFT + 2 * (WIDTH + GAP), TOP + 2 * (HEIGHT + GAP))
    extent = f'width="{size[0]}" height="{size[1]}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {extent} font-family="sans-serif" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def panel(title: str, key: str, rows: Sequence[Row]) -> Iterator[str]:
    """Each size has a scale of its own: from 200 B to 1 MiB the numbers differ by thousands."""
    yield text(0, -8, title)
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    group = WIDTH / max(len(sizes), 1)
    for place, size in enumerate(sizes):
        chosen = [row for row in rows if row["size"] == size]
        highest = max((row[key] for row in chosen), default=0) or 1
        for number, row in enumerate(chosen):
            height = max(1.0, HEIGHT * max(row[key], 0) / highest * 0.85)
            x = place * group + number * group / 4 + 5
            colour = COLOURS[row["proxy"]]
            extent = f'width="{group / 4 - 4:.0f}" height="{height:.0f}"'
            yield f'<rect x="{x:.0f}" y="{HEIGHT - height:.0f}" {extent} fill="{colour}"/>'
            yield text(x, HEIGHT - height - 3, f"{row[key]:,.0f}" if row[key] >= 100 else f"{row[key]:.2f}")
        yield text(place * group + 5, HEIGHT + 14, size)


def text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{words}</text>'

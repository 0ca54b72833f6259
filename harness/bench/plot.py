"""Draws cost against log length as an SVG that stands alone: two curves, logarithmic both ways.

It is written by hand, since a plotting library would be the largest thing installed. Colours are
readable on light and on dark ground; the picture carries its numbers as text besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from harness.bench.figures import shown

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 45, 50, 50
INK = "#6b7280"
HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
    'font-family="system-ui, sans-serif" font-size="13">'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line: its name, its colour, milliseconds by length; its numbers stand above or below."""

    name: str
    colour: str
    points: Mapping[int, float]
    dashed: bool = False
    above: bool = True


def svg(title: str, curves: Sequence[Curve]) -> str:
    """Return the picture."""
    lengths = sorted({length for curve in curves for length in curve.points})
    values = [value for curve in curves for value in curve.points.values() if value > 0]
    low, high = (
        floor(log10(min(values))),
        max(ceil(log10(max(values))), floor(log10(min(values))) + 1),
    )
    first, last = log10(lengths[0]), max(log10(lengths[-1]), log10(lengths[0]) + 1)

    def x(length: float) -> float:
        return LEFT + (log10(length) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [HEAD, f"<title>{title}</title>", _text(LEFT, 22, title, INK, "start", 15)]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(_stroke(LEFT, at, WIDTH - RIGHT, at))
        parts.append(_text(LEFT - 8, at + 4, f"{10.0**power:g} ms", INK, "end"))
    for length in lengths:
        parts.append(_stroke(x(length), TOP, x(length), HEIGHT - BOTTOM))
        parts.append(_text(x(length), HEIGHT - BOTTOM + 20, f"{length:,}", INK, "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "events in the log", INK, "middle"))
    for place, curve in enumerate(curves):
        parts += _drawn(curve, place, x, y)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(curve: Curve, place: int, x: object, y: object) -> Iterator[str]:
    assert callable(x)
    assert callable(y)
    dots = [(x(length), y(value), value) for length, value in sorted(curve.points.items())]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in dots)
    dash = ' stroke-dasharray="5 4"' if curve.dashed else ""
    style = f'fill="none" stroke="{curve.colour}" stroke-width="2"{dash}'
    yield f'<polyline points="{path}" {style}/>'
    for a, b, value in dots:
        yield f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{curve.colour}"/>'
        yield _text(a, b + (-8 if curve.above else 16), shown(value), curve.colour, "middle", 11)
    at = LEFT + 150 * place
    yield f'<line x1="{at}" y1="38" x2="{at + 26}" y2="38" {style}/>'
    yield _text(at + 32, 42, curve.name, curve.colour, "start")


def _text(x: float, y: float, words: str, colour: str, anchor: str, size: int = 13) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="{colour}">{words}</text>'


def _stroke(x1: float, y1: float, x2: float, y2: float) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{INK}" stroke-opacity="0.25"/>'

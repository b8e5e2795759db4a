"""Curves as SVG that takes its colours from the page: only numbers and words of our own are in it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pyrovae.figures.curves import PANELS, SETS, SetName
from pyrovae.runs.run import Run

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 8, 38  # margins
MOST = 800  # points of a curve: more than its pixels

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    title: str
    picture: Markup


@dataclass(frozen=True)
class Curves:
    """Panels, and what their colours mean: the sets of one run, or the runs."""

    panels: list[Panel]
    legend: list[str]


def curves_of(runs: Sequence[Run]) -> Curves:
    """The curves of all sets of one run; of several runs those of the test sets."""
    metrics = [run.metrics for run in runs]
    if not all(metrics):
        return Curves([], [])
    names = dict(reversed(PANELS.items()))
    if len(runs) == 1 and "objective" in metrics[0][0]["train"]:
        names["objective"] = "Objective (weighted)"
    if not any(record["test"]["kl"] for records in metrics for record in records):  # plain autoencoders
        names = {"reconstruction": names["reconstruction"]}
    sets: list[SetName] = [name for name in SETS if name in metrics[0][0]] if len(runs) == 1 else ["test"]
    panels = []
    for key in names:
        curves = [_curve(records, name, key) for records in metrics for name in sets]
        if any(curves):
            panels.append(Panel(names[key], panel(curves, zoomed=key != "kl")))
    return Curves(panels, [SETS[name][1] for name in sets] if len(runs) == 1 else [])


def _curve(records: Sequence[Mapping[str, Any]], name: str, key: str) -> Curve:
    """Epochs and finite values, of which a long training has some left out."""
    parts = [(record["epoch"], record.get(name)) for record in records]
    points = [(epoch, part.get(key)) for epoch, part in parts if isinstance(part, dict)]
    known = [(float(x), float(y)) for x, y in points if isinstance(y, int | float) and abs(y) < 1e30]
    every = math.ceil(len(known) / MOST)
    return known[::every] + (known[-1:] if every > 1 else []) if known else []


def panel(curves: Sequence[Curve], zoomed: bool = False) -> Markup:
    """Curves over the epochs; zoomed, the steep fall of the first epochs leaves the picture."""
    curves_with_points = [curve for curve in curves if curve]
    values = [y for curve in curves_with_points for _, y in curve]
    later = [y for curve in curves_with_points for _, y in curve[max(1, len(curve) // 25) :]]
    zoomed = zoomed and min(map(len, curves_with_points)) >= 12
    low, high = min(values), max(later if zoomed and later else values)
    room = 0.05 * (high - low) or max(1.0, 0.05 * abs(high))
    low, high = low - room, max(high, low) + room
    last = max(x for curve in curves_with_points for x, _ in curve)
    first = 1.0 if last > 1 else 0.0
    across = Scale(first, last if last > 1 else 2.0, LEFT, WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    lines = [
        *(_level(up(y), y) for y in ticks(low, high)),
        *(_text(across(x), HEIGHT - BOTTOM + 18, x, "middle") for x in ticks(across.low, across.high, whole=True)),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 3}" text-anchor="middle">epoch</text>',
        # an inner picture cuts off what leaves it
        f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
        f' viewBox="{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {HEIGHT - TOP - BOTTOM}">',
        *(_polyline(i, [(across(x), up(y)) for x, y in curve]) for i, curve in enumerate(curves)),
        "</svg>",
    ]
    return _picture(lines)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` lie from `start` to `end` in the picture."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> list[float]:
    """At most so many round numbers between, in steps of 1, 2 or 5 times a power of ten; and the first epoch."""
    rough = max((high - low) / most, 1e-30)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    step = max(1.0, step) if whole else step
    found = [step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return [low, *(tick for tick in found if tick > low + step / 2)] if whole and low == 1 else found


def _picture(lines: Iterable[str]) -> Markup:
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">' + "".join(lines) + "</svg>")


def _level(y: float, value: float) -> str:
    """A line across the picture, and the value that it stands for."""
    line = f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
    return line + _text(LEFT - 6, y + 4, value, "end")


def _text(x: float, y: float, value: float, anchor: str) -> str:
    text = f"{value:,.6g}".replace("-", "−")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _polyline(i: int, points: Curve) -> str:
    kind = f"c{i % 10}"
    if len(points) == 1:
        return f'<circle class="{kind}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3.5"/>'
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'

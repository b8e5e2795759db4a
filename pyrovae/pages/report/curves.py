"""Draws training curves as SVG, coloured by the page's style sheet; no text from a run folder gets into it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pyrovae.figures.curves import PANELS, SETS, SetName
from pyrovae.runs.run import Run

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 8, 38  # margins
MOST_POINTS = 800  # of a curve: more than a panel has pixels

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    title: str
    picture: Markup


@dataclass(frozen=True)
class Curves:
    """The panels, and the names of the curves in each: the image sets of one run, or none for several runs."""

    panels: list[Panel]
    legend: list[str]


def curves_of(runs: Sequence[Run]) -> Curves:
    """Draw the scores over the epochs: one run on all its image sets, several runs on their test sets."""
    metrics = [run.metrics for run in runs]
    if not all(metrics):
        return Curves([], [])
    names = dict(reversed(PANELS.items()))
    if len(runs) == 1 and "objective" in metrics[0][0]["train"]:
        names["objective"] = "Objective (weighted)"
    if not any(record["test"]["kl"] for records in metrics for record in records):  # plain autoencoders have no KL
        names = {"reconstruction": names["reconstruction"]}
    sets: list[SetName] = [name for name in SETS if name in metrics[0][0]] if len(runs) == 1 else ["test"]
    panels = []
    for key in names:
        curves = [_points(records, name, key) for records in metrics for name in sets]
        if any(curves):
            panels.append(Panel(names[key], panel(names[key], curves, zoomed=key != "kl")))
    return Curves(panels, [SETS[name][1] for name in sets] if len(runs) == 1 else [])


def _points(records: Sequence[Mapping[str, object]], name: str, key: str) -> Curve:
    """Return the epochs and values of the finite scores `key` of the image set `name`, at most about 800."""
    parts = [(record["epoch"], record.get(name)) for record in records]
    pairs = [(epoch, part.get(key)) for epoch, part in parts if isinstance(part, dict)]
    points = [
        (float(x), float(y)) for x, y in pairs if isinstance(x, int) and isinstance(y, int | float) and abs(y) < 1e30
    ]
    every = math.ceil(len(points) / MOST_POINTS)
    return points[::every] + (points[-1:] if every > 1 else []) if points else []


def panel(title: str, curves: Sequence[Curve], zoomed: bool = False) -> Markup:
    """Draw curves over the epochs as SVG; if `zoomed`, cut off the steep fall of the first epochs."""
    curves_with_points = [curve for curve in curves if curve]
    values = [y for curve in curves_with_points for _, y in curve]
    later = [y for curve in curves_with_points for _, y in curve[max(1, len(curve) // 25) :]]
    zoomed = zoomed and min(map(len, curves_with_points)) >= 12
    low, high = min(values), max(later if zoomed and later else values)
    margin = 0.05 * (high - low) or max(1.0, 0.05 * abs(high))
    low, high = low - margin, max(high, low) + margin
    last = max(x for curve in curves_with_points for x, _ in curve)
    first = 1.0 if last > 1 else 0.0
    across = Scale(first, last if last > 1 else 2.0, LEFT, WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    lines = [
        *(_level(up(y), y) for y in ticks(low, high)),
        *(_label(across(x), HEIGHT - BOTTOM + 18, x, "middle") for x in ticks(across.low, across.high, whole=True)),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 3}" text-anchor="middle">epoch</text>',
        # an inner SVG element clips the curves at the panel's edge
        f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
        f' viewBox="{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {HEIGHT - TOP - BOTTOM}">',
        *(_polyline(i, [(across(x), up(y)) for x, y in curve]) for i, curve in enumerate(curves)),
        "</svg>",
    ]
    return _svg(title, lines)


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` linearly to positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> list[float]:
    """Return about `most` round numbers from `low` to `high`, spaced by 1, 2 or 5 times a power of ten.

    If `whole`, they are whole numbers, and 1 is one of them where `low` is 1: the first epoch.
    """
    rough = max((high - low) / most, 1e-30)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    step = max(1.0, step) if whole else step
    numbers = [step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return [low, *(tick for tick in numbers if tick > low + step / 2)] if whole and low == 1 else numbers


def _svg(title: str, lines: Iterable[str]) -> Markup:
    start = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title} over the epochs">'
    return Markup(start + "".join(lines) + "</svg>")


def _level(y: float, value: float) -> str:
    """Draw a horizontal grid line with its value."""
    line = f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
    return line + _label(LEFT - 6, y + 4, value, "end")


def _label(x: float, y: float, value: float, anchor: str) -> str:
    text = f"{value:,.6g}".replace("-", "−")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _polyline(i: int, points: Curve) -> str:
    kind = f"c{i % 10}"
    if len(points) == 1:
        return f'<circle class="{kind}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3.5"/>'
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'

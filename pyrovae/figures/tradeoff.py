"""Figures of many runs: rate against distortion, and the scores over the settings of a sweep."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.typing import ColorType

from pyrovae.figures.curves import PANELS
from pyrovae.figures.names import MOST_BESIDE, families, labels, legend
from pyrovae.figures.style import INK, PALE, TRAIN, Unfit, colours, new_figure

MOST_BESIDE_POINTS = 16  # labels; more go to a legend
WIDE = 20  # an axis is logarithmic if its largest value is this many times the smallest

LINE = "#E3E3E3"
LABEL_HEIGHT, DISC_RADIUS = 0.16, 0.1  # in inches

# By label: `settings`, and `kl`, `reconstruction` and `loss`, each {"mean", "sd", "values"} over seeds.
Rows = Mapping[str, Mapping[str, Any]]


def rate_distortion(rows: Rows) -> Figure:
    """Draw the rate (KL) against the distortion (reconstruction) on the test set: seeds as dots, means as pale discs.

    Their sum is the negative ELBO; grey lines connect equal sums. Alemi et al. (2018), arXiv:1711.00464.
    """
    if not any(rate for row in rows.values() for rate in row["kl"]["values"]):
        raise Unfit("figure rate_distortion: expected runs with a KL term, got plain autoencoders")
    figure, axes = new_figure(7.2, 5.2)
    panel, palette, discs = axes[0, 0], colours(len(rows)), []
    for colour, row in zip(palette, rows.values()):
        seeds = (row["kl"]["values"], row["reconstruction"]["values"])
        mean = (row["kl"]["mean"], row["reconstruction"]["mean"])
        one = len(seeds[0]) == 1
        discs.append(panel.scatter(*mean, color=colour, zorder=3, s=110, alpha=1 if one else 0.4, linewidths=0))
        if not one:
            panel.scatter(*seeds, s=14, color=colour, edgecolors="white", linewidths=0.4, zorder=4)
    panel.margins(0.14, 0.12)
    _lines_of_equal_sum(panel)
    if len(rows) <= MOST_BESIDE_POINTS:
        _label_points(panel, palette, rows)
    else:
        legend(figure, discs, [*rows], MOST_BESIDE, loc="outside right upper", ncols=-(-len(rows) // 28), fontsize=8)
    panel.set(xlabel="rate: KL, nats per image", ylabel="distortion: reconstruction, nats per image")
    panel.tick_params(color=PALE)
    dots = "; dots: seeds" if any(len(row["kl"]["values"]) > 1 for row in rows.values()) else ""
    figure.suptitle(f"Rate and distortion, test set; grey: equal negative ELBO{dots}", fontsize=11, color=INK)
    return figure


def sweep_figure(rows: Rows, swept: Sequence[str]) -> Figure:
    """Draw loss, KL and reconstruction over the setting that varies, or by combination of settings.

    A line over the setting needs a single setting whose values are numbers; else each combination gets a mark.
    """
    numbers = len(swept) == 1 and all(isinstance(row["settings"][swept[0]], int | float) for row in rows.values())
    seeds = max(len(row["loss"]["values"]) for row in rows.values())
    figure = _over_numbers(rows, swept[0]) if numbers else _by_combination(rows)
    spread = f"; mean, standard deviation and each of {seeds} seeds" if seeds > 1 else ""
    figure.suptitle(f"Test set{spread}", fontsize=11, color=INK)
    return figure


def _over_numbers(rows: Rows, setting: str) -> Figure:
    figure, axes = new_figure(11, 3.6, columns=3)
    ordered = sorted(rows.values(), key=lambda row: row["settings"][setting])
    x = np.array([row["settings"][setting] for row in ordered], dtype=float)
    for panel, (key, title) in zip(axes[0], PANELS.items()):
        mean = np.array([row[key]["mean"] for row in ordered])
        sd = np.array([row[key]["sd"] or 0.0 for row in ordered])
        panel.fill_between(x, mean - sd, mean + sd, color=TRAIN, alpha=0.16, linewidth=0)
        panel.plot(x, mean, color=TRAIN, linewidth=1.6, marker="o", markersize=4.5)
        for value, row in zip(x, ordered):
            seeds = row[key]["values"]
            panel.scatter([value] * len(seeds), seeds, s=10, color=TRAIN, alpha=0.5, linewidths=0)
        _set_numbers(panel, x, [f"{row['settings'][setting]:g}" for row in ordered])
        panel.set(title=title, xlabel=setting, ylabel="nats per image")
        _finish(panel)
    return figure


def _set_numbers(panel: Axes, x: np.ndarray, names: Sequence[str]) -> None:
    """Place ticks at the values themselves, on a logarithmic axis if they span orders of magnitude."""
    if x.min() > 0 and x.max() / x.min() >= WIDE:
        panel.set_xscale("log")
    panel.xaxis.set_minor_locator(NullLocator())
    if len(x) <= 8:
        panel.set_xticks(x, names)


def _by_combination(rows: Rows) -> Figure:
    names = labels(rows, MOST_BESIDE)
    figure, axes = new_figure(9.4 + 0.07 * max(map(len, names)), 1.5 + 0.32 * len(rows), columns=3)
    palette = colours(len(rows))
    for i, (panel, (key, title)) in enumerate(zip(axes[0], PANELS.items())):
        for place, (colour, row) in enumerate(zip(palette, rows.values())):
            score = row[key]
            panel.scatter(score["values"], [place] * len(score["values"]), s=12, color=colour, alpha=0.5, linewidths=0)
            panel.errorbar(score["mean"], place, xerr=score["sd"] or 0.0, fmt="o", color=colour, markersize=6)
        panel.set(title=title, xlabel="nats per image", ylim=(len(rows) - 0.5, -0.5))
        panel.set_yticks(range(len(rows)), names if i == 0 else [""] * len(rows), family=families(rows))
        panel.margins(x=0.1)
        panel.xaxis.set_major_locator(MaxNLocator(5))
        _finish(panel)
        panel.tick_params(axis="y", length=0)
    return figure


def _finish(panel: Axes) -> None:
    panel.grid(True)
    panel.set_axisbelow(True)
    panel.tick_params(color=PALE)


def _lines_of_equal_sum(panel: Axes) -> None:
    """Draw light diagonals x + y = c, each with its c at the right edge."""
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    panel.set(xlim=(left, right), ylim=(low, high))
    for total in MaxNLocator(10).tick_values(left + low, right + high):
        if not left + low < total < right + high:
            continue
        panel.plot((left, right), (total - left, total - right), color=LINE, linewidth=0.9, zorder=1)
        if low < total - right < high:
            panel.annotate(
                f"{total:g}",
                (right, total - right),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color="#A0A0A0",
            )


def _label_points(panel: Axes, palette: Sequence[ColorType], rows: Rows) -> None:
    """Write each combination beside its mean, in its colour, moved up where it would cover another label."""
    names, fonts = labels(rows, MOST_BESIDE), families(rows)
    means = [(row["kl"]["mean"], row["reconstruction"]["mean"]) for row in rows.values()]
    inch, middle = panel.figure.dpi, np.mean(panel.get_xlim())
    places = panel.transData.transform(means) / inch
    taken = [(x - DISC_RADIUS, x + DISC_RADIUS, y) for x, y in places]  # left, right and height, in inches
    for i in np.argsort(places[:, 1]):
        x, y = places[i]
        side = 1 if means[i][0] < middle else -1  # towards the middle, where there is room
        left, right = sorted((x + side * 1.2 * DISC_RADIUS, x + side * (1.2 * DISC_RADIUS + 0.075 * len(names[i]))))
        while clash := [b for a, z, b in taken if abs(b - y) < LABEL_HEIGHT and left < z and a < right]:
            y = max(clash) + 1.01 * LABEL_HEIGHT
        taken.append((left, right, y))
        dark = [0.75 * part for part in to_rgb(palette[i])]
        panel.annotate(
            names[i],
            means[i],
            (9 * side, 72 * (y - places[i][1])),
            textcoords="offset points",
            va="center",
            ha="left" if side > 0 else "right",
            fontsize=9,
            family=fonts,
            color=dark,
            zorder=5,
        )

"""Figures of the benchmark: the time of each row, and how it grows with the size of the work."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from pyrovae.figures.style import INK, LABELS, PALE, TEST, TRAIN, new_figure

TITLES = {
    "batch_size": "batch size",
    "hidden": "hidden units",
    "latent_dim": "latent dimensions",
    "particles": "particles",
}


def benchmark(rows: Sequence[Mapping[str, Any]], base: str, title: str) -> Figure:
    """Draw a bar for the median epoch of each row, a line from fastest to slowest, and its ratio to the row `base`."""
    timed = sorted((row for row in rows if "median" in row), key=lambda row: row["median"])
    figure, axes = new_figure(7.2, 0.9 + 0.36 * len(timed))
    panel, longest = axes[0, 0], max(max(row["seconds"]) for row in timed)
    names = {row["row"]: row for row in timed}
    for i, row in enumerate(timed):
        mine = row["row"].startswith("pyrovae")
        colour = PALE if row["row"] == "floor" else TEST if mine else TRAIN
        panel.barh(i, row["median"], color=colour, height=0.62)
        panel.plot([min(row["seconds"]), max(row["seconds"])], [i, i], color=INK, linewidth=1)
        times = f"{row['median'] / names[base]['median']:.2f} ×" if base in names else ""
        panel.text(max(row["seconds"]) + 0.012 * longest, i, f"{row['median']:.2f} s  {times}", va="center", fontsize=9)
    panel.set_yticks(range(len(timed)), [row["row"] for row in timed])
    panel.set_xlim(0, 1.22 * longest)
    panel.set_xlabel(f"seconds an epoch: median, fastest to slowest; × {base}")
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.invert_yaxis()
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def benchmark_curves(points: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw the seconds of an epoch over each axis, one line per row, on logarithmic scales."""
    drawn = list(dict.fromkeys(point["axis"] for point in points))
    names = list(dict.fromkeys(point["row"] for point in points))
    colours = {name: PALE if name == "floor" else colour for name, colour in zip(names, LABELS)}
    figure, axes = new_figure(9.0, 6.4, 2, 2)
    for panel, axis in zip(axes.flat, drawn):
        for name in names:
            line = [
                (point["value"], point["seconds"]) for point in points if (point["axis"], point["row"]) == (axis, name)
            ]
            panel.plot(*zip(*line), marker="o", markersize=3.5, color=colours[name], label=name)
        _logarithmic(panel, [point["value"] for point in points if point["axis"] == axis])
        panel.set(xlabel=TITLES[axis], ylabel="seconds an epoch")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names), fontsize=9, frameon=False
    )
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def _logarithmic(panel: Axes, values: Sequence[float]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(sorted(set(values)))
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.minorticks_off()
    panel.grid(axis="y", linewidth=0.5)

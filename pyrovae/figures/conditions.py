"""The figure of what a condition changes: images of each label, or columns of a table given values of others."""

from collections.abc import Iterator

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.figures.columns import SAMPLES, histograms, is_discrete, key, name_of, name_values
from pyrovae.figures.images import conditions as images_of_labels
from pyrovae.figures.names import families, plain
from pyrovae.figures.style import INK, new_figure
from pyrovae.program import Program

MOST_ROWS, MOST_COLUMNS = 6, 6
THIRDS = 3  # the rows of panels for a column of numbers
FEW = 10  # rows of data are too few for a histogram


def conditions(vae: Program, data: Data) -> Figure:
    """Draw what the condition changes: images of each label, or the columns of a table given values of others.

    In a table a row of panels stands for the test rows with one value of a condition, with a third of its numbers, or
    with one label, and for rows that are drawn given the conditions of just these.
    """
    if len(data.shape) == 1 and vae.context is not None:
        return _given_values(vae, data)
    return images_of_labels(vae, data)


def _given_values(vae: Program, data: Data) -> Figure:
    groups, across = [*_groups(data)], min(MOST_COLUMNS, data.shape[0])
    figure, axes = new_figure(max(1.9 * across + 1.0, 5.4), 1.4 * len(groups) + 1.0, len(groups), across)
    usual = data.pixels.to_own_units(data.batch(data.test, slice(0, SAMPLES)).x).cpu().numpy()
    for panels, (title, rows) in zip(axes, groups):
        x, drawn = _rows_and_draws(vae, data, rows)
        for column, panel in enumerate(panels):
            ends = usual[np.isfinite(usual[:, column]), column]
            histograms(panel, x[:, column], drawn[:, column], is_discrete(data, column), ends)
            name_values(panel.xaxis, data, column)
        panels[0].set_ylabel(title, fontsize=8, color=INK, family=families([title]))
    for column, panel in enumerate(axes[0]):
        name = name_of(data, column)
        panel.set_title(name, fontsize=8, color=INK, family=families([name]))
    left_out = f" (the first {across} of {data.shape[0]})" if across < data.shape[0] else ""
    figure.suptitle(f"Columns{left_out}, given what is on the left", fontsize=11, color=INK)
    key(figure, "test set", "model")
    return figure


def _rows_and_draws(vae: Program, data: Data, rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return test rows, none if they are few, and rows that are drawn given their conditions, in their own units."""
    x, y = data.batch(data.test, rows[:SAMPLES])
    again = torch.arange(SAMPLES) % len(x)
    draws = vae.generate(y=None if y is None else y[again.to(y.device)], mean=False)
    shown, drawn = (data.pixels.to_own_units(part).cpu().numpy() for part in (x, draws))
    return shown if len(x) >= FEW else shown[:0], drawn


def _groups(data: Data) -> Iterator[tuple[str, Tensor]]:
    """Yield groups of test rows that are given the same, or nearly so: what it is, and the rows."""
    if data.test.given is None:
        labels = torch.zeros(len(data.test)) if data.test.labels is None else data.test.labels.cpu()
        yield from _of_each(labels, "", data.classes, MOST_ROWS)
        return
    columns = [*data.conditions.items()][:MOST_ROWS]
    most = MOST_ROWS // len(columns)
    for (name, kind), values in zip(columns, data.test.given.cpu().unbind(1)):
        if kind.kind in ("binary", "category") or len(values.unique()) <= most:
            yield from _of_each(values, f"{name} = ", kind.categories, most)
        else:
            yield from _of_thirds(values, name, most)


def _of_each(values: Tensor, name: str, names: tuple[str, ...], most: int) -> Iterator[tuple[str, Tensor]]:
    """Yield the rows of each of the values that most rows have, in the order of the values."""
    each, counts = values.unique(return_counts=True)
    for value in each[counts.argsort(descending=True, stable=True)[:most].sort().values].tolist():
        yield plain(f"{name}{names[int(value)] if names else f'{value:.4g}'}"), (values == value).nonzero()[:, 0]


def _of_thirds(values: Tensor, name: str, most: int) -> Iterator[tuple[str, Tensor]]:
    """Yield the rows of the lowest, the middle and the highest values."""
    for rows in values.argsort(stable=True).chunk(min(THIRDS, most)):
        low, high = values[rows[0]].item(), values[rows[-1]].item()
        yield f"{plain(name, 12)}\n{low:.3g} to {high:.3g}", rows.sort().values

"""Figures of tables: the columns of the data beside those of samples, and missing values as they are imputed."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pyrovae.data.data import Data
from pyrovae.evaluation.imputation import impute
from pyrovae.figures.names import families, legend, plain
from pyrovae.figures.style import INK, PALE, TRAIN, Unfit, image_figure, new_figure, shown
from pyrovae.program import Program

MOST_COLUMNS, MOST_PAIRS = 12, 4
ACROSS = 4  # panels in a row
WIDE = 3000  # columns of which all pairs are compared, at most
SAMPLES = 2000  # rows drawn from the model, at most as many as the test set has
BINS = 30
GOLDEN, SILVER = 0.6180339887, 0.4142135624  # multiples of them spread evenly over [0, 1), and apart from each other
MOST_NAMED, LONGEST = 6, 9  # categories whose names fit on an axis, and letters of a name
ROWS, DRAWS = 6, 4  # of images with missing pixels


def marginals(vae: Program, data: Data) -> Figure:
    """Draw the histogram of each column of the test set, and of as many rows drawn from the model; the first twelve."""
    rows, drawn = _test_and_samples(vae, data, "marginals")
    chosen = range(min(MOST_COLUMNS, rows.shape[1]))
    figure, panels = _grid(len(chosen))
    for panel, column in zip(panels, chosen):
        histograms(panel, rows[:, column], drawn[:, column], is_discrete(data, column))
        name_values(panel.xaxis, data, column)
        _name(panel, data, column)
    left_out = f" (the first {len(chosen)} of {rows.shape[1]})" if len(chosen) < rows.shape[1] else ""
    figure.suptitle(f"Columns of the test set, and of rows drawn from the model{left_out}", fontsize=11, color=INK)
    key(figure, "test set", "model")
    return figure


def pairs(vae: Program, data: Data) -> Figure:
    """Draw pairs of columns against each other, of the test set and of the model: the four that depend the most."""
    rows, drawn = _test_and_samples(vae, data, "pairs")
    if rows.shape[1] < 2:
        raise Unfit("figure pairs: expected two or more columns, got 1")
    chosen = _dependent(rows)[:MOST_PAIRS]
    n = len(chosen)
    figure, axes = new_figure(2.1 * n + 0.6, 2.0 * n + 0.8, n, n)
    size = max(1.0, min(9.0, 6000 / len(rows)))
    for i, vertical in enumerate(chosen):
        for j, across in enumerate(chosen):
            panel = axes[i, j]
            if i == j:
                histograms(panel, rows[:, across], drawn[:, across], is_discrete(data, across))
            else:  # below the diagonal the data, above it the model
                values, colour = (rows, INK) if i > j else (drawn, TRAIN)
                x = _spread(values[:, across], is_discrete(data, across), GOLDEN)
                y = _spread(values[:, vertical], is_discrete(data, vertical), SILVER)
                panel.scatter(x, y, s=size, color=colour, alpha=0.5, linewidths=0)
                panel.set_xlim(*_reach(rows[:, across], is_discrete(data, across)))
                panel.set_ylim(*_reach(rows[:, vertical], is_discrete(data, vertical)))
            panel.tick_params(labelsize=7)
            panel.locator_params(nbins=3)
            name_values(panel.xaxis, data, across)
            if i != j:
                name_values(panel.yaxis, data, vertical)
            if i == n - 1:
                panel.set_xlabel(name_of(data, across), fontsize=8, family=families([name_of(data, across)]))
            if j == 0:
                panel.set_ylabel(name_of(data, vertical), fontsize=8, family=families([name_of(data, vertical)]))
    figure.suptitle("Below the diagonal the test set, above it rows drawn from the model", fontsize=11, color=INK)
    key(figure, "test set", "model")
    return figure


def imputations(vae: Program, data: Data) -> Figure:
    """Draw missing values of the test set as they are imputed: draws of them and, of images, their mean and spread."""
    if not data.missing:
        raise Unfit("figure imputations: expected data of which values are missing, got whole ones")
    if not vae.has_kl:
        raise Unfit("figure imputations: expected a posterior that is a density, got a plain autoencoder")
    return _imputed_columns(vae, data) if len(data.shape) == 1 else _imputed_images(vae, data)


def _imputed_images(vae: Program, data: Data) -> Figure:
    rows = data.test.gaps().flatten(1).any(1).nonzero()[:ROWS, 0]
    batch = torch.cat([part.draws for part in impute(vae, data, data.test[rows], draws=50)], 1)
    full = 255 if data.pixels.protocol == "bytes" else 1
    draws = (batch / full).clamp(0, 1).cpu()
    seen = shown(data, data.batch(data.test, rows).x)
    spread = draws.std(0)
    others = [*draws[:DRAWS], draws.mean(0), spread / max(float(spread.max()), 1e-6)]
    images = torch.stack([seen, *(image.expand_as(seen) for image in others)], 1)
    heads = ["seen", *(f"draw {i + 1}" for i in range(DRAWS)), "mean", "spread"]
    title = "Missing pixels, light blue, and what they are imputed by"
    return image_figure(images.flatten(0, 1), len(heads), title, column_labels=heads)


def _imputed_columns(vae: Program, data: Data) -> Figure:
    missing = data.test.gaps()
    chosen = missing.sum(0).argsort(descending=True, stable=True)[:MOST_COLUMNS].tolist()
    chosen = sorted(column for column in chosen if missing[:, column].any())
    draws = torch.cat([part.draws for part in impute(vae, data, data.test, draws=20)], 1).cpu()
    figure, panels = _grid(len(chosen))
    for panel, column in zip(panels, chosen):
        gaps = missing[:, column]
        seen, imputed = draws[0, ~gaps, column].numpy(), draws[:, gaps, column].flatten().numpy()
        usual = np.quantile(imputed, [0.01, 0.99], method="nearest")  # not all, as tails may be heavy
        histograms(panel, seen, imputed, is_discrete(data, column), usual)
        name_values(panel.xaxis, data, column)
        _name(panel, data, column, f"{gaps.float().mean():.0%} missing")
    figure.suptitle("Values of the test set that were seen, and draws of missing ones", fontsize=11, color=INK)
    key(figure, "seen", "imputed")
    return figure


def _test_and_samples(vae: Program, data: Data, figure: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the test set, and as many that are drawn from the model, in the units of the table."""
    if len(data.shape) != 1:
        raise Unfit(f"figure {figure}: expected a table, whose rows are vectors, got images")
    n = min(SAMPLES, len(data.test))
    x, labels = data.batch(data.test, slice(0, n))
    y = vae.given(x, labels) if vae.context is not None else None
    drawn = vae.generate(n if y is None else None, labels if y is not None else None, mean=False)
    return data.pixels.to_own_units(x).cpu().numpy(), data.pixels.to_own_units(drawn).cpu().numpy()


def _grid(n: int) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure of n panels; those of the last row that are left over are empty."""
    across = min(ACROSS, n)
    down = -(-n // across)
    width = max(2.5 * across + 0.4, 5.4)  # room for the title
    figure, axes = new_figure(width, 1.9 * down + 0.9, down, across)
    for panel in axes.flat[n:]:
        panel.set_axis_off()
    return figure, [*axes.flat[:n]]


def histograms(panel: Axes, data: np.ndarray, model: np.ndarray, discrete: bool, more: Sequence[float] = ()) -> None:
    """Draw both as densities, over the values of the data and `more`; few discrete values have a bar each."""
    data = data[np.isfinite(data)]
    low, high = _reach(values := np.append(data, more))
    if discrete and high - low <= 2 * BINS:
        edges = np.arange(values.min(), values.max() + 2) - 0.5
    else:
        edges = np.linspace(low, high, BINS + 1)
    if len(data):
        panel.hist(data, edges.tolist(), density=True, color=PALE)
    inside = model[(model >= edges[0]) & (model <= edges[-1])]
    weight = 1 / (len(model) * (edges[1] - edges[0]))  # what lies beyond the edges counts, and is not drawn
    panel.hist(
        inside, edges.tolist(), weights=np.full(len(inside), weight), histtype="step", color=TRAIN, linewidth=1.3
    )
    panel.set_yticks([])
    panel.tick_params(labelsize=7)
    panel.xaxis.set_major_locator(MaxNLocator(4))


def is_discrete(data: Data, column: int) -> bool:
    """Say whether the values of a column are counts, truth values or categories."""
    if data.kinds:
        return data.kinds[column].kind in ("count", "binary", "category")
    return data.pixels.protocol in ("counts", "binary")


def name_values(axis: Axis, data: Data, column: int) -> None:
    """Label an axis of few discrete values with the values, and no axis of discrete values between two of them."""
    kind = data.kinds[column] if data.kinds else None
    if kind and kind.categories and len(kind.categories) <= MOST_NAMED:
        names = [plain(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…") for name in kind.categories]
        axis.set_ticks(range(len(names)), names, family=families(names))
    elif data.pixels.protocol == "binary" or (kind and kind.kind == "binary"):
        axis.set_ticks([0, 1])
    elif is_discrete(data, column):
        axis.set_major_locator(MaxNLocator(4, integer=True))


def _spread(values: np.ndarray, discrete: bool, step: float) -> np.ndarray:
    """Return where to draw dots: discrete values side by side about their place, so that none hides another."""
    beside = np.arange(len(values)) * step % 1 - 0.5  # evenly spread, and the same at each drawing
    return values + 0.5 * beside if discrete else values


def _reach(values: np.ndarray, discrete: bool = False) -> tuple[float, float]:
    """Return the ends of an axis: those of the values, and a little more; of discrete ones, half a step."""
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = max(0.05 * (high - low) or 0.5, 0.5 if discrete else 0.0)
    return low - margin, high + margin


def _dependent(rows: np.ndarray) -> list[int]:
    """Return the columns in the order of their largest correlation with another; missing values are at the mean.

    Of very many, only those that vary the most are looked at: all pairs of 30,000 columns would take 7 GB.
    """
    if rows.shape[1] > WIDE:
        widest = np.sort(np.argsort(-np.nanvar(rows, 0), kind="stable")[:WIDE])
        return [int(widest[i]) for i in _dependent(rows[:, widest])]
    means = np.nanmean(rows, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.abs(np.corrcoef(np.where(np.isnan(rows), means, rows), rowvar=False)))
    np.fill_diagonal(correlation, 0)
    return [int(i) for i in np.argsort(-correlation.max(0), kind="stable")]


def name_of(data: Data, column: int) -> str:
    return plain(data.columns[column]) if data.columns else f"column {column + 1}"


def key(figure: Figure, filled: str, line: str) -> None:
    """Say below the figure what its histograms show."""
    handles = [Patch(color=PALE), Line2D([], [], color=TRAIN)]
    legend(figure, handles, [filled, line], loc="outside lower center", ncols=2)


def _name(panel: Axes, data: Data, column: int, more: str = "") -> None:
    name = name_of(data, column)
    panel.set_title(f"{name}, {more}" if more else name, fontsize=8, color=INK, family=families([name]))

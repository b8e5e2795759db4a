"""Figures of the scores over the epochs."""

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType

from pyrovae.evaluation.elbo import Scores
from pyrovae.figures.names import MOST_IN_LINE, labels, legend
from pyrovae.figures.style import INK, PALE, TEST, TRAIN, VALIDATION, Unfit, colours, new_figure

ScoreName = Literal["kl", "reconstruction", "loss", "objective"]
SetName = Literal["train", "validation", "test"]

PANELS: dict[ScoreName, str] = {"kl": "KL", "reconstruction": "Reconstruction", "loss": "Total (negative ELBO)"}
SETS: dict[SetName, tuple[str, str]] = {
    "train": (TRAIN, "training set"),
    "validation": (VALIDATION, "validation set"),
    "test": (TEST, "test set"),
}


class Epoch(TypedDict):
    """What these figures read of the record of an epoch: scores in nats per image."""

    epoch: int
    train: Scores
    validation: NotRequired[Scores]
    test: Scores


Records = Sequence[Epoch]


def losses(metrics: Records) -> Figure:
    """Draw KL, reconstruction and their sum over the epochs, by set; and the objective, if it is not their sum."""
    if not metrics:
        raise Unfit("figure losses: expected at least one epoch, got none")
    panels = PANELS | ({"objective": "Objective"} if "objective" in metrics[0]["train"] else {})
    figure, axes = new_figure(3.7 * len(panels), 3.4, columns=len(panels))
    for panel, (key, title) in zip(axes[0], panels.items()):
        for name, (colour, label) in SETS.items():
            if key in metrics[0].get(name, ()):
                _curve(panel, metrics, name, key, colour, label)
        _finish(panel, title)
        _zoom(panel, key)
    axes[0, 2].legend(frameon=False)
    if not any(record["train"]["kl"] for record in metrics):
        axes[0, 0].clear()
        axes[0, 0].set_axis_off()
        axes[0, 0].text(0.5, 0.5, "no KL term:\na plain autoencoder", ha="center", va="center", color=INK)
        axes[0, 2].set_title("Total (the reconstruction alone)")
    return figure


def comparison(runs: Mapping[str, Records]) -> Figure:
    """Draw the curves of several runs on their test sets; `runs` has the records of each by its name."""
    figure, axes = new_figure(11, 3.6, columns=3)
    for panel, (key, title) in zip(axes[0], PANELS.items()):
        for colour, metrics in zip(colours(len(runs)), runs.values()):
            _curve(panel, metrics, "test", key, colour)
        _finish(panel, f"{title}, test set")
        _zoom(panel, key)
    longest = max(map(len, labels(runs, MOST_IN_LINE)))
    fitting = max(1, (MOST_IN_LINE + 10) // (longest + 6))
    lines, columns = axes[0, 0].get_lines(), min(fitting, len(runs))
    legend(figure, lines, [*runs], MOST_IN_LINE, loc="outside lower center", ncols=columns)
    return figure


def _curve(panel: Axes, metrics: Records, name: SetName, key: ScoreName, colour: ColorType, label: str = "") -> None:
    epochs = [record["epoch"] for record in metrics]
    marker = "o" if len(epochs) == 1 else None
    panel.plot(
        epochs, [record[name][key] for record in metrics], linewidth=1.6, marker=marker, color=colour, label=label
    )


def _zoom(panel: Axes, key: ScoreName) -> None:
    """Cut the steep fall of the first epochs off, because it would flatten all that follows."""
    curves = [np.asarray(line.get_ydata()) for line in panel.get_lines()]
    later = [curve[max(1, len(curve) // 25) :] for curve in curves]
    if key == "kl" or min(map(len, later)) < 10:
        return
    low, high = min(map(min, curves)), max(map(max, later))
    panel.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _finish(panel: Axes, title: str) -> None:
    panel.set(title=title, xlabel="epoch", ylabel="nats per image")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panel.grid(True)
    panel.tick_params(color=PALE)

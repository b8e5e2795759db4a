"""The figure of a program that infers labels: what it takes the images of each class for."""

import torch
from matplotlib.figure import Figure

from pyrovae.data.data import Data
from pyrovae.evaluation.classes import counts, inferred_labels, matching
from pyrovae.figures.names import families, labels
from pyrovae.figures.style import INK, Unfit, new_figure
from pyrovae.program import Program

MOST = 40  # the most classes or clusters


def confusion(vae: Program, data: Data) -> Figure:
    """Draw what the test images of each class are taken for, in percent: a class, or the cluster matched with one."""
    if vae.label is None or data.test.labels is None:
        raise Unfit("figure confusion: expected a program that infers labels, and test images that have some")
    classes = len(data.classes)
    if max(classes, vae.classes) > MOST:
        raise Unfit(f"figure confusion: expected at most {MOST} classes, got {max(classes, vae.classes)}")
    table = counts(vae, data, data.test, inferred_labels(vae, data, data.test))
    order = torch.arange(vae.classes)
    if not vae.supervised:  # clusters in the order of the classes that they are matched with, others last
        matched = matching(table)
        order = matched.where(matched >= 0, classes).argsort()
    shares = 100 * table[order].T / table.sum(0)[:, None].clamp(min=1)
    figure, axes = new_figure(1.6 + 0.42 * vae.classes, 1.5 + 0.42 * classes)
    panel = axes[0, 0]
    panel.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=100)
    for row, column in shares.ge(0.5).nonzero().tolist():
        share = shares[row, column].item()
        panel.text(
            column, row, f"{share:.0f}", ha="center", va="center", fontsize=8, color="white" if share > 55 else INK
        )
    names = labels(data.classes, most=12)
    across = names if vae.supervised else [f"{int(cluster) + 1}" for cluster in order]
    panel.set_yticks(range(classes), names, family=families(data.classes))
    upright = max(map(len, across)) > 3
    panel.set_xticks(range(vae.classes), across, family=families(across), rotation=90 if upright else 0)
    panel.tick_params(length=0)
    panel.set(ylabel="label", xlabel="inferred label" if vae.supervised else "cluster")
    for spine in panel.spines.values():
        spine.set_visible(False)
    accuracy = (table[order].diagonal().sum() / table.sum()).item()
    figure.suptitle(f"Shares of each label in percent; {accuracy:.1%} are right", fontsize=11, color=INK)
    return figure

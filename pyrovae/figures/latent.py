"""The latent space, seen from above."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from torch import Tensor

from pyrovae.contexts import Label
from pyrovae.data import Data
from pyrovae.figures.style import INK, TRAIN, Unfit, colours, new_figure, plain
from pyrovae.priors import Normal
from pyrovae.vae import VAE, mean_of

BATCH = 1000
MOST_LABELS = 48  # that a legend holds


def latent(vae: VAE, data: Data) -> Figure:
    """Codes of all test images, coloured by label; of more than two dimensions the first two principal components."""
    codes = code_means(vae, data).numpy()
    dimensions = codes.shape[1]
    if dimensions < 2:
        raise Unfit(f"figure latent: expected two or more latent dimensions, got {dimensions}")
    if len(codes) < 2:
        raise Unfit(f"figure latent: expected two or more test images, got {len(codes)}")
    figure, axes = new_figure(6.6, 5.6)
    panel = axes[0, 0]
    names = ("$z_1$", "$z_2$")
    title = f"Codes of {len(codes):,} test images"
    if dimensions > 2:
        codes, shares = _principal(codes)
        names = tuple(f"principal component {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(shares))
        title += f": first two principal components of {dimensions} dimensions"
    _scatter(panel, codes, data)
    if dimensions == 2 and isinstance(vae.prior, Normal) and vae.has_kl:
        title += "; dotted: 1, 2 and 3 standard deviations of the prior"
        for radius in (1, 2, 3):
            panel.add_patch(Circle((0, 0), radius, fill=False, color=INK, linewidth=0.9, linestyle=":", zorder=3))
    panel.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    if len(data.classes) > MOST_LABELS:
        title += f"; {len(data.classes)} labels"
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def code_means(vae: VAE, data: Data) -> Tensor:
    """The mean of q(z | x, y) for each test image: (N, latent), on the CPU."""
    codes = []
    for start in range(0, len(data.test), BATCH):
        x, labels = data.batch(data.test, slice(start, start + BATCH))
        codes.append(mean_of(vae.encode(x, labels if isinstance(vae.context, Label) else None)).cpu())
    return torch.cat(codes)


def _principal(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import PCA

    analysis = PCA(2).fit(codes)
    return analysis.transform(codes), analysis.explained_variance_ratio_


def _scatter(panel: Axes, codes: np.ndarray, data: Data) -> None:
    size = max(2.0, min(16.0, 30_000 / len(codes)))
    if data.test.labels is None:
        panel.scatter(*codes.T, s=size, color=TRAIN, alpha=0.7, linewidths=0)
        return
    labels = data.test.labels.cpu().numpy()
    palette = np.array([to_rgb(colour) for colour in colours(len(data.classes))])
    panel.scatter(*codes.T, s=size, c=palette[labels], alpha=0.7, linewidths=0)  # in one go, so that no label is on top
    if len(data.classes) <= MOST_LABELS:
        dots = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in palette]
        columns = -(-len(palette) // 24)
        panel.figure.legend(dots, map(plain, data.classes), loc="outside right center", ncols=columns, frameon=False)

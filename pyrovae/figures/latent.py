"""Figures of the latent space: the codes of the test images, and the KL of each dimension."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from pyrovae.data.data import Data
from pyrovae.evaluation import latents
from pyrovae.evaluation.elbo import sites_of_images
from pyrovae.figures.names import legend, plain
from pyrovae.figures.style import INK, PALE, TRAIN, Unfit, colours, expect_code, new_figure
from pyrovae.inference.sites import vectors_of
from pyrovae.program import Program

MOST_IN_LEGEND = 48  # labels; with more there is no legend


def latent(vae: Program, data: Data) -> Figure:
    """Draw the codes of all test images, coloured by label; of larger codes, the first two principal components."""
    expect_code("latent", vae)
    codes = latents.code_means(vae, data, data.test).numpy()
    dimensions = codes.shape[1]
    if dimensions < 2:
        raise Unfit(f"figure latent: expected two or more latent dimensions, got {dimensions}")
    if len(codes) < 2:
        raise Unfit(f"figure latent: expected two or more test {data.noun}s, got {len(codes)}")
    figure, axes = new_figure(6.6, 5.6)
    panel = axes[0, 0]
    names: tuple[str, ...] = ("$z_1$", "$z_2$")
    title = f"Codes of {len(codes):,} test {data.noun}s"
    if dimensions > 2:
        codes, shares = _principal(codes)
        names = tuple(f"principal component {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(shares))
        title += f": first two principal components of {dimensions} dimensions"
    _scatter(figure, panel, codes, data)
    if dimensions == 2 and latents.has_standard_prior(vae, data):
        title += "; dotted: 1, 2 and 3 standard deviations of the prior"
        for radius in (1, 2, 3):
            panel.add_patch(Circle((0, 0), radius, fill=False, color=INK, linewidth=0.9, linestyle=":", zorder=3))
    panel.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    if len(data.classes) > MOST_IN_LEGEND:
        title += f"; {len(data.classes)} labels"
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def kl_per_dimension(vae: Program, data: Data) -> Figure:
    """Draw the mean KL of each latent dimension over the test images, the largest first."""
    expect_code("kl_per_dimension", vae)
    if not vae.has_kl:
        raise Unfit("figure kl_per_dimension: expected a posterior that is a density, got a plain autoencoder")
    kl = latents.kl_per_dimension(vae, data, data.test)
    if kl is None:
        raise Unfit("figure kl_per_dimension: expected a KL that is known in closed form for each dimension")
    figure, axes = new_figure(7.5, 3.4)
    ordered = kl.sort(descending=True).values.numpy()
    axes[0, 0].bar(range(1, len(kl) + 1), ordered, color=TRAIN, width=0.85)
    axes[0, 0].set(xlabel="latent dimension, by its KL", ylabel=f"nats per {data.noun}")
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes[0, 0].grid(True, axis="y")
    axes[0, 0].set_axisbelow(True)
    several = len(vectors_of(sites_of_images(vae, data, data.test), vae.code, vae.filled)) > 1
    of = f" of {plain(str(vae.code))}" if several else ""
    figure.suptitle(f"KL of each dimension{of}: {ordered.sum():.1f} nats in all", fontsize=11, color=INK)
    return figure


def _principal(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components (n, 2), and their shares of the variance."""
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # equal codes have no variance to divide by
        analysis = PCA(2).fit(codes)
    return analysis.transform(codes), np.nan_to_num(analysis.explained_variance_ratio_)


def _scatter(figure: Figure, panel: Axes, codes: np.ndarray, data: Data) -> None:
    size = max(2.0, min(16.0, 30_000 / len(codes)))
    if data.test.labels is None:
        panel.scatter(codes[:, 0], codes[:, 1], s=size, color=TRAIN, alpha=0.7, linewidths=0)
        return
    labels = data.test.labels.cpu().numpy()
    palette = np.array([to_rgb(colour) for colour in (*colours(len(data.classes)), PALE)])  # PALE: -1, not known
    panel.scatter(
        codes[:, 0], codes[:, 1], s=size, c=palette[labels], alpha=0.7, linewidths=0
    )  # in one go, so that no label is on top
    if len(data.classes) <= MOST_IN_LEGEND:
        dots = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in palette[:-1]]
        columns = -(-len(dots) // 24)
        legend(figure, dots, data.classes, loc="outside right center", ncols=columns)

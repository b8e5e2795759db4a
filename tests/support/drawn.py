"""Small runs to draw, and what is read from their figures."""

from types import SimpleNamespace

import numpy as np
import torch
from support.builders import small_data, small_vae

from pyrovae import fit
from pyrovae.figures.style import cell_size, enlargement


def drawable_run(shape=(1, 8, 8), **settings):
    """Train a small VAE, and return what figures ask of its run."""
    vae, config = small_vae(shape=shape, **settings)
    data = small_data(shape=shape)
    metrics = list(fit(vae, data, config))
    pictures = {"original": torch.rand(3, *shape), "1": torch.rand(3, *shape)}
    return SimpleNamespace(vae=vae, data=data, config=config, metrics=metrics, progress=pictures)


def pixels_of(figure):
    """Return the array of the only mosaic in a figure."""
    (image,) = figure.axes[0].get_images()
    return np.asarray(image.get_array())


def cell(figure, row, column, size=8):
    """Cut one image out of a mosaic, at its own size and without its frame: (H, W, 3)."""
    step, scale = cell_size((size, size))[0], enlargement(size, size)
    return pixels_of(figure)[row * step + 1 : (row + 1) * step - 1, column * step + 1 : (column + 1) * step - 1][
        ::scale, ::scale
    ]


def as_drawn(image):
    """Convert an image (C, H, W) to the (H, W, 3) of a mosaic."""
    return image.expand(3, -1, -1).permute(1, 2, 0).numpy()

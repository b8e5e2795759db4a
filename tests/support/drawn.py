"""Small runs to draw, and what is read from their figures."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
from support.builders import small_data, small_vae

from pyrovae import Config, Data, build, fit
from pyrovae.figures.style import cell_size, enlargement


def drawable_run(shape=(1, 8, 8), **settings):
    """Train a small VAE, and return what figures ask of its run."""
    vae, config = small_vae(shape=shape, **settings)
    data = small_data(shape=shape)
    metrics = list(fit(vae, data, config))
    pictures = {"original": torch.rand(3, *shape), "1": torch.rand(3, *shape)}
    return SimpleNamespace(vae=vae, data=data, config=config, metrics=metrics, progress=pictures)


def drawable_table(protocol, missing):
    """Train a small VAE on a table of four columns, and return what figures ask of its run."""
    rows = np.random.default_rng(0).poisson(3, (60, 4)).astype(float)
    gaps = np.random.default_rng(1).random(rows.shape) < 0.3 * missing
    data = Data.of(rows, pixels=protocol, missing=gaps if missing else None)
    data = replace(data, columns=("age", "size", "weight", r"$\foo$"))
    likelihood = "gaussian" if protocol == "standardized" else "poisson"
    config = Config(pixels=protocol, likelihood=likelihood, hidden=(16,), epochs=2, device="cpu")
    vae = build(config, data.shape, missing=missing)
    return SimpleNamespace(vae=vae, data=data, config=config, metrics=[*fit(vae, data, config)], progress={})


def drawable_gaps():
    """Return an untrained VAE of images with missing pixels, and the data."""
    images = np.random.default_rng(0).random((40, 8, 8))
    data = Data.of(images, missing=np.random.default_rng(1).random(images.shape) < 0.3)
    config = Config(hidden=(16,), device="cpu")
    return build(config, data.shape, missing=True), data


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

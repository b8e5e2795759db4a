"""Train by pyrovae, through its public interface."""

from collections.abc import Callable

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.programs.build import build
from pyrovae.training.fit import fit

from .work import LR, Work


def eager(work: Work) -> Callable[[], float]:
    """Train with `--compile no`."""
    return _epoch(work, compile="no")


def compiled(work: Work) -> Callable[[], float]:
    """Train with `--compile yes`."""
    return _epoch(work, compile="yes")


def bfloat16(work: Work) -> Callable[[], float]:
    """Train with `--compile yes --precision bf16`."""
    return _epoch(work, compile="yes", precision="bf16")


def _epoch(work: Work, **settings: str) -> Callable[[], float]:
    config = Config(
        hidden=work.hidden,
        latent_dim=work.latent_dim,
        batch_size=work.batch_size,
        particles=work.particles,
        lr=LR,
        epochs=1_000_000,
        device=str(work.device),
        **settings,
    )
    images = Images(work.images)
    data = Data("bench", train=images, test=images[slice(0, 1)])  # an epoch ends by scoring one image
    epochs = iter(fit(build(config, data.shape), data, config))
    return lambda: next(epochs)["train"]["loss"]

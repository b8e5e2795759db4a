import os
from pathlib import Path

import pyro
import pytest
import torch

from pyrovae import Config, build
from pyrovae.data import Data, Images, Pixels

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _clean_slate():
    """Seeded tests, and no parameter left in Pyro's global store by any of them."""
    torch.manual_seed(0)
    yield
    assert not list(pyro.get_param_store().keys()), "pyrovae leaves Pyro's parameter store empty"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real image sets."""
    folder = Path(os.environ.get("PYROVAE_DATA", SHARED))
    if not (folder / "MNIST" / "raw").is_dir():
        pytest.skip(f"no MNIST files in {folder}: set PYROVAE_DATA")
    return folder


def small_data(n: int = 40, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3, pixels: str = "grey") -> Data:
    """Random images with labels, as a dataset."""
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> Images:
        pixels = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
        return Images(pixels, torch.arange(count) % classes)

    train, test = images(n), images(n)
    return Data("random", train, test, classes=tuple("abcdefghij"[:classes]), pixels=Pixels.of(pixels, train.images))


def small_vae(shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3, **settings):
    """A VAE with few units, and its config."""
    config = Config(**({"hidden": (16,), "latent_dim": 2, "epochs": 2, "batch_size": 16, "device": "cpu"} | settings))
    return build(config, shape, classes), config

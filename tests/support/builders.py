"""Small data sets and models, and what compares runs of them."""

import os
import re
from pathlib import Path

import torch

from pyrovae import Config, build
from pyrovae.data import Data, Images, Pixels

ROOT = Path(__file__).parents[2]  # of the checkout
SHARED = Path(os.environ.get("PYROVAE_DATA") or ROOT.parent / "shared" / "data")  # where MNIST's files may lie


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


def without_seconds(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


def contents(run):
    """All that training writes, but for the time it took, and whether somebody is at work on the code."""

    def timeless(text):
        return re.sub(r'"seconds": [\d.]+|-dirty', "", text)

    texts = {name: timeless((run / name).read_text()) for name in ("metrics.jsonl", "summary.json", "config.toml")}
    return texts | {path.name: path.read_bytes() for path in run.glob("*.safetensors")}

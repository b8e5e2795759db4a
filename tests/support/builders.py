"""Small datasets, models and fits, and functions that compare runs of them."""

import copy
import math
import os
import re
from pathlib import Path

import torch

from pyrovae import Config, build, fit
from pyrovae.data import Data, Images, Pixels
from pyrovae.training.objective import without_effect

ROOT = Path(__file__).parents[2]  # the checkout
SHARED = Path(
    os.environ.get("PYROVAE_DATA") or ROOT.parent / "shared" / "data"
)  # the folder of MNIST's files, if there is one


def small_data(n: int = 40, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3, pixels: str = "grey") -> Data:
    """Make a dataset of random images with labels."""
    generator = torch.Generator().manual_seed(0)

    drawn = [torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8) for _ in range(2)]
    protocol = Pixels.of(pixels, drawn[0])
    train, test = (
        protocol.fix(Images(images, torch.arange(n) % classes), drawn_once=False, seed=0) for images in drawn
    )
    return Data("random", train, test, classes=tuple("abcdefghij"[:classes]), pixels=protocol)


def small_vae(shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3, **settings):
    """Build a VAE with few units; return it and its config, without the settings that it does not read."""
    config = Config(**({"hidden": (16,), "latent_dim": 2, "epochs": 2, "batch_size": 16, "device": "cpu"} | settings))
    vae = build(config, shape, classes)
    if unread := without_effect(vae, config):
        config = config.without(unread)
        vae = build(config, shape, classes)
    return vae, config


def small_fit(**settings):
    """Set up the training of a small VAE on the random images of `small_data`."""
    vae, config = small_vae(**settings)
    return fit(vae, small_data(pixels=config.pixels), config)


def expect_resumed(start):
    """Train the fit that `start` makes: its scores are finite, all weights move, and it resumes bit for bit."""
    whole, half, rest = start(), start(), start()
    before = {name: parameter.clone() for name, parameter in whole.vae.named_parameters()}
    records = [*whole]
    assert all(math.isfinite(records[-1]["test"][score]) for score in ("loss", "reconstruction", "kl"))
    assert not {name for name, p in whole.vae.named_parameters() if p.requires_grad and torch.equal(p, before[name])}
    next(iter(half))
    rest.load_state_dict(copy.deepcopy(half.state_dict()))
    assert [again["test"] for again in rest] == [record["test"] for record in records[1:]]


def expect_resumed_with_few_labels(small, settings):
    """Check that a program that `small` builds resumes bit for bit where some labels are hidden."""
    data = small_data(pixels=settings.get("pixels", "grey"))
    data.train.labels[:20] = -1

    def start():
        program, config = small(epochs=3, components=5, compile="no", threads=1, **settings)
        return fit(program, data, config)

    expect_resumed(start)


def without_seconds(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


def contents(run):
    """Read all files that training writes, without times and without the mark of uncommitted changes to the code."""

    def timeless(text):
        # The digests of metrics.jsonl and of the checkpoint follow from the seconds in them.
        return re.sub(r'"seconds": [\d.]+|-dirty|"(metrics.jsonl|checkpoint.pt)": "[0-9a-f]{64}"', "", text)

    texts = {
        name: timeless((run / name).read_text(encoding="utf-8"))
        for name in ("metrics.jsonl", "summary.json", "config.toml")
    }
    return texts | {path.name: path.read_bytes() for path in run.glob("*.safetensors")}

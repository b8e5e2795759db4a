"""Trains on datasets with almost nothing in them: they are trained on and drawn like others, or refused in one line."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from support.files import noise
from support.likelihoods import LIKELIHOODS

from pyrovae import Config, InputError, build, fit, load
from pyrovae.config.values import IMAGES
from pyrovae.evaluation.importance import log_likelihoods
from pyrovae.evaluation.latents import report
from pyrovae.figures import draw
from pyrovae.figures.style import drawable

IN_TURN = np.arange(20) % 3
ONE_PIXEL = np.zeros((20, 8, 8), np.uint8)
ONE_PIXEL[3, 4, 5] = 200
SETS = {
    "black but for one pixel": {"images": ONE_PIXEL, "labels": IN_TURN},
    "all black": {"images": np.zeros((20, 8, 8), np.uint8), "labels": IN_TURN},
    "all white": {"images": np.full((20, 8, 8), 255, np.uint8), "labels": IN_TURN},
    "all the same": {"images": noise(1, 8, 8).repeat(20, 0), "labels": IN_TURN},
    "one pixel the same": {"images": noise(20, 8, 8) * (np.arange(64).reshape(8, 8) > 0).astype(np.uint8)},
    "two levels": {"images": 254 + noise(20, 8, 8) % 2, "labels": IN_TURN},
    "one image, and one to test on": {
        "images": noise(1, 8, 8),
        "test_images": noise(1, 8, 8),
        "labels": [0],
        "test_labels": [0],
    },
    "two images": {"images": noise(2, 8, 8), "labels": [0, 1]},
    "three images": {"images": noise(3, 8, 8), "labels": [0, 1, 1]},
    "one class": {"images": noise(20, 8, 8), "labels": np.full(20, 7)},
    "a class of one image": {"images": noise(20, 8, 8), "labels": [0] + [1] * 19},
    "a class for each image": {"images": noise(20, 8, 8), "labels": np.arange(20)},
    "classes missing from the test set": {
        "images": noise(20, 8, 8),
        "labels": IN_TURN,
        "test_images": noise(5, 8, 8),
        "test_labels": [1] * 5,
    },
    "classes missing from the training set": {
        "images": noise(20, 8, 8),
        "labels": [0] * 20,
        "test_images": noise(5, 8, 8),
        "test_labels": [0, 1, 2, 3, 9],
    },
    "labels with gaps": {"images": noise(20, 8, 8), "labels": np.array([-5, 10**12, 3])[IN_TURN]},
    "no labels": {"images": noise(20, 8, 8)},
    "1×1": {"images": noise(20, 1, 1), "labels": IN_TURN},
    "1×1 in colour": {"images": noise(20, 1, 1, 3), "labels": IN_TURN},
    "1×1 and black": {"images": np.zeros((20, 1, 1), np.uint8), "labels": IN_TURN},
    "a row": {"images": noise(20, 1, 9), "labels": IN_TURN},
    "a column": {"images": noise(20, 9, 1), "labels": IN_TURN},
    "a long row": {"images": noise(20, 1, 600)},
    "a long column": {"images": noise(20, 600, 1)},
    "odd sides": {"images": noise(20, 9, 13, 3), "labels": IN_TURN},
}
EQUAL = ("all black", "all white", "all the same", "1×1 and black")
CONDITIONS = ("none", "label", "quadrant1", "quadrant2", "quadrant3")
SETTINGS = [
    *(
        {"likelihood": name, "pixels": pixels}
        for name, member in LIKELIHOODS.items()
        for pixels in member.domain
        if pixels in IMAGES
    ),
    *({"likelihood": "gaussian", "scale": scale, "pixels": "grey"} for scale in ("pixel", "optimal")),
    *({"network": name, "condition": c} for name in ("mlp", "gated", "conv", "resnet") for c in CONDITIONS),
    *(
        {"prior": name, "components": 50, "condition": c}
        for name in ("vamp", "exemplar", "mixture")
        for c in ("none", "label", "quadrant1")
    ),
    *({"posterior": name} for name in ("lowrank", "full", "flow", "delta")),
    *({"objective": name, "particles": 2} for name in ("iwae", "dreg", "stl", "analytic", "renyi", "mmd")),
    *({"latent_dim": n, "condition": c} for n in (1, 5) for c in ("none", "label")),
    {"latent_dim": 5, "posterior": "delta"},
]
EVERY = 13  # one in 13 combinations is tried; each set and each setting is in several of them


def combinations():
    for i, name in enumerate(SETS):
        for k, settings in enumerate(SETTINGS):
            if (i + k) % EVERY == 0:
                yield pytest.param(name, settings, id=f"{name}-{'-'.join(map(str, settings.values()))}")


@pytest.fixture
def config(tmp_path):
    def of(name, **settings):
        np.savez(tmp_path / "set.npz", **SETS[name])
        tiny = {"epochs": 1, "batch_size": 64, "device": "cpu"}
        tiny |= {} if settings.get("network") in ("conv", "resnet") else {"hidden": (8,)}
        return Config(dataset=f"npz:{tmp_path / 'set.npz'}", **(tiny | settings))

    return of


def refusal(name, settings):
    """Return the message that refuses a set for these settings, or None if the two fit."""
    sides = SETS[name]["images"].shape[1:3]
    if name in EQUAL:
        return "dataset: expected images that differ in .*, got 20 equal ones"
    if settings.get("network") == "conv" and min(sides) < 8:
        return "network conv: expected images of 8 to 64 pixels a side, got"
    if settings.get("network") == "resnet" and min(sides) < 4:
        return "network resnet: expected images of 4 pixels a side or more, got"
    if settings.get("condition") == "label" and "labels" not in SETS[name]:
        return "condition: 'label' expects images with labels, got none"
    return None


def run_of(config):
    data = load(config)
    vae = build(config, data.shape, len(data.classes))
    metrics = list(fit(vae, data, config))
    return SimpleNamespace(vae=vae, data=data, config=config, metrics=metrics, progress={})


@pytest.mark.filterwarnings("ignore:dataset. only .* training images in .* are different")
@pytest.mark.parametrize(("name", "settings"), list(combinations()))
def test_a_degenerate_set_is_trained_on_and_drawn_or_refused(name, settings, config):
    config = config(name, **settings)
    if message := refusal(name, settings):
        with pytest.raises(InputError, match=message):
            run_of(config)
        return
    run = run_of(config)
    for part in ("train", "test"):
        assert all(map(math.isfinite, run.metrics[0][part].values()))
    assert all(parameter.isfinite().all() for parameter in run.vae.parameters())
    figures = dict(draw(run))
    assert {"losses", "reconstructions", "samples"} <= figures.keys()
    pyplot.close("all")


@pytest.mark.filterwarnings("ignore:dataset. only .* training images in .* are different")
@pytest.mark.parametrize("pixels", IMAGES)
@pytest.mark.parametrize(
    "name", ["black but for one pixel", "one image, and one to test on", "1×1", "one class", "two images"]
)
def test_a_degenerate_set_is_evaluated(name, pixels, config):
    fitting = next(likelihood for likelihood, member in LIKELIHOODS.items() if pixels in member.domain)
    settings = {"pixels": pixels, "likelihood": fitting}
    run = run_of(config(name, **settings))
    latents = report(run.vae, run.data)
    assert ("active_units" in latents) == (len(run.data.test) > 1)
    assert all(math.isfinite(x) for x in latents["kl_per_dimension"])
    for batch in log_likelihoods(run.vae, run.data, run.data.test, samples=3):
        assert batch["log_likelihood"].isfinite().all()


@pytest.mark.filterwarnings("ignore:dataset. only .* training images in .* are different")
@pytest.mark.parametrize(
    "name", ["black but for one pixel", "two images", "1×1", "a row", "a long row", "a long column"]
)
def test_figures_of_a_degenerate_set_can_be_saved(name, config, tmp_path):
    for figure in dict(draw(run_of(config(name)))).values():
        assert max(figure.get_size_inches()) < 25
        figure.savefig(tmp_path / "figure.png")
    pyplot.close("all")


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((8, 8), (8, 8)),
        ((256, 64), (256, 64)),
        ((1, 1), (1, 1)),
        ((1, 3), (1, 3)),
        ((1, 9), (3, 9)),
        ((1000, 1), (256, 64)),
        ((1, 10**6), (64, 256)),
        ((512, 300), (256, 150)),
    ],
)
def test_large_and_thin_images_are_resized_for_drawing(shape, drawn):
    images = drawable(torch.full((2, 1, *shape), 0.25))
    assert images.shape == (2, 1, *drawn)
    assert images.unique().tolist() == [0.25]


def test_one_image_is_not_enough(config, tmp_path):
    np.savez(tmp_path / "one.npz", images=noise(1, 8, 8))
    with pytest.raises(InputError, match="dataset: expected at least 2 images, to train and to test on, got 1"):
        run_of(Config(dataset=f"npz:{tmp_path / 'one.npz'}"))


def test_a_prior_of_more_components_than_images_repeats_the_images_in_turn(config):
    run = run_of(config("two images", prior="exemplar", components=5))
    assert torch.equal(run.vae.prior.images.bytes[0], run.vae.prior.images.bytes[4])
    assert len(run.vae.prior.images) == 5

"""Makes bad calls of the public Python names: each is refused in one line that says what was expected."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import (
    Config,
    InputError,
    Run,
    annealed_log_likelihoods,
    build,
    elbo_scores,
    fit,
    fit_batched,
    load,
    log_likelihoods,
)
from pyrovae.data.images import Images
from pyrovae.inference import SVI
from pyrovae.inference.gradient_noise import gradient_noise
from pyrovae.inference.objectives import TraceELBO

PLAIN, LABEL, QUADRANT = (small_vae(condition=condition)[0] for condition in ("none", "label", "quadrant1"))
AUTOENCODER, CONFIG = small_vae(posterior="delta")[0], small_vae()[1]
DATA, OTHER = small_data(), small_data(shape=(1, 9, 9))
UNLABELLED, NONE = Images(DATA.test.images), DATA.test[:0]
X, Z, Y = torch.rand(4, 1, 8, 8), torch.randn(4, 2), torch.tensor([0, 1, 2, 0])
LONG = torch.long


def fitting(vae=None, data=DATA, **settings):
    """Set up a fit of a small VAE, or of another one, with these settings."""
    own, config = small_vae(epochs=1, **settings)
    return fit(vae or own, data, config)


def epoch(*args, **settings):
    return next(iter(fitting(*args, **settings)))


CALLS = {
    "Config": {
        "unknown": (lambda: Config(latnet_dim=3), "unknown setting 'latnet_dim'; did you mean 'latent_dim'"),
        "several": (lambda: Config(epochs=0, lr=-1), "epochs: expected .*, got 0; lr: expected .*, got -1"),
        "true": (lambda: Config(epochs=True), "epochs: expected a number or a text, got True"),
        "true in a list": (lambda: Config(hidden=[True]), r"hidden: expected a number or a text, got \[True\]"),
        "none": (lambda: Config(epochs=None), "epochs: expected a valid integer, got None"),
        "array": (lambda: Config(lr=np.ones(2)), r"lr: expected a valid number, got array"),
        "array of names": (lambda: Config(network=np.ones(2)), r"network: expected a valid string, got array"),
        "huge": (lambda: Config(latent_dim=10**400), "latent_dim: expected less than or equal to 1000000000, got 1000"),
        "endless": (lambda: Config(epochs=10**5000), "epochs: expected .*, got a number of too many digits"),
        "huge scale": (lambda: Config(scale=10**400), "scale: expected a number greater than 0, .*, got 1000"),
        "surrogate": (lambda: Config(data_dir="\udcff"), "data_dir: expected a text without control characters, got"),
        "line break": (
            lambda: Config(dataset="folder:a\nb"),
            "dataset: expected a text without control characters, got",
        ),
        "replace": (lambda: CONFIG.replace(epochs=0), "epochs: expected greater than or equal to 1, got 0"),
        "replace unknown": (lambda: CONFIG.replace(epoch=1), "unknown setting 'epoch'; did you mean 'epochs'"),
        "TOML of a method's words": (lambda: Config.from_toml("self = 3"), "unknown setting 'self'"),
        "TOML without end": (lambda: Config.from_toml("a = " + "[" * 10_000), "config: expected TOML, got"),
        "TOML of many digits": (lambda: Config.from_toml("seed = " + "9" * 5000), "config: expected TOML, got"),
        "TOML of hexadecimals": (lambda: Config.from_toml("seed = 0x" + "f" * 5000), "seed: expected .*, got a number"),
    },
    "load": {
        "nothing there": (
            lambda: load(Config(dataset="npz:nowhere.npz")),
            "expected an npz or npy file at nowhere.npz, got",
        ),
        "held out": (
            lambda: load(Config(validation=1438)),
            "validation: expected fewer than the 1438 images, got 1438",
        ),
    },
    "build": {
        "no labels": (
            lambda: build(Config(condition="label"), (1, 8, 8)),
            "'label' expects images with labels, got none",
        ),
        "unknown": (lambda: build(Config(prior="norml"), (1, 8, 8)), "prior: expected .*, got 'norml'; did you mean"),
        "no channels": (
            lambda: build(Config(), (8, 8)),
            r"shape: expected \(channels, height, width\), or .columns,. of a vector, got \(8, 8\)",
        ),
        "no height": (lambda: build(Config(), (1, 0, 8)), "height: expected 1 or more, got 0"),
        "no number": (lambda: build(Config(), (1, 8.0, 8)), "height: expected a whole number, got 8.0"),
        "small": (lambda: build(Config(network="resnet"), (1, 3, 8)), "expected images of 4 pixels a side .*, got 3×8"),
        "pixels": (lambda: build(Config(pixels="bytes"), (1, 8, 8)), "pixels: likelihood 'bernoulli' expects"),
        "colours": (
            lambda: build(Config(likelihood="discretized_logistic_mixture", pixels="bytes"), (4, 8, 8)),
            "expected 3 channels or fewer, got 4",
        ),
    },
    "generate": {
        "none": (lambda: PLAIN.generate(0), "n: expected 1 or more, got 0"),
        "fewer": (lambda: PLAIN.generate(-1), "n: expected 1 or more, got -1"),
        "half": (lambda: PLAIN.generate(1.5), "n: expected a whole number, got 1.5"),
        "a word": (lambda: PLAIN.generate("many"), "n: expected a whole number, got 'many'"),
        "true": (lambda: PLAIN.generate(True), "n: expected a whole number, got True"),
        "a context": (lambda: PLAIN.generate(4, Y), "y: expected none, as the model is unconditional, got a context"),
        "no labels": (lambda: LABEL.generate(3), "y: expected labels, as the model is conditional, got none"),
        "others": (lambda: LABEL.generate(3, Y), r"y: expected a tensor of 3 labels, got shape \(4,\)"),
        "above": (lambda: LABEL.generate(y=Y + 1), "y: expected labels from 0 to 2, got 1 to 3"),
        "below": (lambda: LABEL.generate(y=Y - 1), "y: expected labels from 0 to 2, got -1 to 1"),
        "fractions": (lambda: LABEL.generate(y=Y / 2), r"y: expected integer labels .*, got \(4,\) of torch.float32"),
        "truths": (lambda: LABEL.generate(y=Y > 0), r"y: expected integer labels .*, got \(4,\) of torch.bool"),
        "a list": (lambda: LABEL.generate(y=[0, 1]), "y: expected a tensor of one or more labels, got list"),
        "a number": (lambda: LABEL.generate(y=3), "y: expected a tensor of one or more labels, got int"),
        "a scalar": (lambda: LABEL.generate(y=torch.tensor(1)), r"y: expected a tensor .*, got shape \(\)"),
        "no rows": (lambda: LABEL.generate(y=Y[:0]), r"y: expected a tensor of one or more labels, got shape \(0,\)"),
        "a table": (lambda: LABEL.generate(y=torch.zeros(2, 2, dtype=LONG)), r"y: expected integer labels .*\(2, 2\)"),
        "no shares": (lambda: LABEL.generate(y=torch.full((2, 3), 5.0)), "y: expected rows of shares .*, got others"),
        "unknown": (
            lambda: LABEL.generate(y=torch.full((2, 3), torch.nan)),
            "y: expected rows of shares .*, got others",
        ),
        "no images": (lambda: QUADRANT.generate(3), "y: expected images, as the model is conditional, got none"),
        "a shape": (lambda: QUADRANT.generate(y=X[:, :, 1:]), r"expected images of shape \(1, 8, 8\), got \(1, 7, 8\)"),
        "bytes": (lambda: QUADRANT.generate(y=X.byte()), "y: expected images of shape .*, got .* of torch.uint8"),
        "labels": (lambda: QUADRANT.generate(y=Y), r"y: expected images of shape \(1, 8, 8\), got \(\)"),
        "complete": (lambda: PLAIN.complete(X), "complete: expected a model conditioned on quadrants, got another"),
        "complete none": (lambda: QUADRANT.complete(None), "y: expected images, as the model is conditional, got none"),
    },
    "encode": {
        "smaller": (
            lambda: PLAIN.encode(X[:, :, 1:]),
            r"x: expected images \(n, 1, 8, 8\) .*, got shape \(4, 1, 7, 8\)",
        ),
        "one image": (lambda: PLAIN.encode(X[0]), r"x: expected images \(n, 1, 8, 8\) .*, got shape \(1, 8, 8\)"),
        "flat": (lambda: PLAIN.encode(X.flatten(1)), r"x: expected images \(n, 1, 8, 8\) .*, got shape \(4, 64\)"),
        "colours last": (lambda: PLAIN.encode(X.movedim(1, -1)), r"x: expected images .*, got shape \(4, 8, 8, 1\)"),
        "bytes": (lambda: PLAIN.encode(X.byte()), "x: expected images .*, got shape .* of torch.uint8"),
        "doubles": (lambda: PLAIN.encode(X.double()), "x: expected images .*, got shape .* of torch.float64"),
        "an array of words": (lambda: PLAIN.encode(X.numpy().astype(str)), "x: expected images .*, got ndarray"),
        "none": (lambda: PLAIN.encode(None), "x: expected images .*, got NoneType"),
        "a context": (lambda: PLAIN.encode(X, Y), "y: expected none, as the model is unconditional, got a context"),
        "no labels": (lambda: LABEL.encode(X), "y: expected labels, as the model is conditional, got none"),
        "fewer labels": (lambda: LABEL.encode(X, Y[:2]), r"y: expected a tensor of 4 labels, got shape \(2,\)"),
        "labels": (lambda: LABEL.encode(X, Y + 1), "y: expected labels from 0 to 2, got 1 to 3"),
    },
    "reconstruct": {
        "larger": (lambda: PLAIN.reconstruct(torch.rand(4, 1, 9, 9)), "x: expected images .*, got shape"),
        "bytes": (lambda: PLAIN.reconstruct(X.byte()), "x: expected images .*, got shape .* of torch.uint8"),
        "a context": (
            lambda: PLAIN.reconstruct(X, Y),
            "y: expected none, as the model is unconditional, got a context",
        ),
        "no labels": (lambda: LABEL.reconstruct(X), "y: expected labels, as the model is conditional, got none"),
        "a part": (lambda: QUADRANT.reconstruct(X[:, :, :4, :4]), "x: expected images .*, got shape"),
    },
    "decode": {
        "dimensions": (lambda: PLAIN.decode(torch.randn(4, 3)), "z: expected codes of 2 dimensions, got 3"),
        "one code": (lambda: PLAIN.decode(Z[0]), r"z: expected a tensor of codes \(n, latent\), got shape \(2,\)"),
        "particles": (lambda: PLAIN.decode(Z[None]), r"z: expected a tensor of codes .*, got shape \(1, 4, 2\)"),
        "whole numbers": (lambda: PLAIN.decode(Z.long()), "z: expected a tensor of codes .*, got .* of torch.int64"),
        "an array of words": (
            lambda: PLAIN.decode(Z.numpy().astype(str)),
            "z: expected a tensor of codes .*, got ndarray",
        ),
        "none": (lambda: PLAIN.decode(None), "z: expected a tensor of codes .*, got NoneType"),
        "no rows": (lambda: PLAIN.decode(Z[:0]), r"z: expected a tensor of codes .*, got shape \(0, 2\)"),
        "a context": (lambda: PLAIN.decode(Z, Y), "y: expected none, as the model is unconditional, got a context"),
        "no labels": (lambda: LABEL.decode(Z), "y: expected labels, as the model is conditional, got none"),
        "fewer labels": (lambda: LABEL.decode(Z, Y[:3]), r"y: expected a tensor of 4 labels, got shape \(3,\)"),
        "no images": (lambda: QUADRANT.decode(Z), "y: expected images, as the model is conditional, got none"),
    },
    "given": {
        "no labels": (
            lambda: LABEL.given(X),
            "y: expected labels, as the model is conditional, got images without any",
        ),
    },
    "fit": {
        "another size": (lambda: epoch(data=OTHER), r"x: expected images \(n, 1, 8, 8\) .*, got shape \(1, 1, 9, 9\)"),
        "colours": (lambda: epoch(data=small_data(shape=(3, 8, 8))), "x: expected images .*, got shape"),
        "no labels": (
            lambda: epoch(LABEL, replace(DATA, train=UNLABELLED, test=UNLABELLED)),
            "y: expected labels, as the model is conditional, got images without any",
        ),
        "nothing to test on": (
            lambda: fitting(data=replace(DATA, test=NONE)),
            "dataset: expected an image for .*, got 0",
        ),
        "particles": (lambda: fitting(objective="iwae"), "particles: objective 'iwae' expects 2 or more .*, got 1"),
        "free bits": (
            lambda: fit(small_vae(posterior="delta")[0], DATA, Config(posterior="delta", free_bits=1, device="cpu")),
            "free_bits: expected 0.0, as posterior 'delta' has no KL, got '1.0'",
        ),
        "device": (lambda: fitting(device="cuda:99"), "device: expected cpu or one of .*, got 'cuda:99'"),
    },
    "fit_batched": {
        "none": (lambda: next(fit_batched([])), "fits: expected 1 or more, got 0"),
        "one twice": (
            lambda: next(fit_batched([fitting(PLAIN), fitting(PLAIN)])),
            "batched: expected a model for each fit, got one model twice",
        ),
        "others": (
            lambda: next(fit_batched([fitting(), fitting(latent_dim=3)])),
            "batched: expected runs that differ in .* alone, got others",
        ),
        "patience": (
            lambda: next(fit_batched([fitting(patience=1, validation=1)])),
            "batched: expected patience 0, as all runs end at once, got 1",
        ),
    },
    "elbo_scores": {
        "no images": (lambda: elbo_scores(PLAIN, DATA, NONE), "images: expected 1 or more, got 0"),
        "another size": (lambda: elbo_scores(PLAIN, OTHER, OTHER.test), "x: expected images .*, got shape"),
        "no labels": (
            lambda: elbo_scores(LABEL, DATA, UNLABELLED),
            "y: expected labels, as the model is conditional, got",
        ),
    },
    "log_likelihoods": {
        "none": (lambda: next(log_likelihoods(PLAIN, DATA, DATA.test, 0)), "samples: expected 1 or more, got 0"),
        "half": (
            lambda: next(log_likelihoods(PLAIN, DATA, DATA.test, 1.5)),
            "samples: expected a whole number, got 1.5",
        ),
        "a word": (lambda: next(log_likelihoods(PLAIN, DATA, DATA.test, "a")), "samples: expected a whole .*, got 'a'"),
        "no images": (lambda: next(log_likelihoods(PLAIN, DATA, NONE, 5)), "images: expected 1 or more, got 0"),
        "no density": (
            lambda: next(log_likelihoods(AUTOENCODER, DATA, DATA.test, 5)),
            "evaluate: expected .*, got a plain",
        ),
        "another size": (
            lambda: next(log_likelihoods(PLAIN, OTHER, OTHER.test, 5)),
            "x: expected images .*, got shape",
        ),
    },
    "annealed_log_likelihoods": {
        "no chains": (
            lambda: next(annealed_log_likelihoods(PLAIN, DATA, DATA.test, chains=0)),
            "chains: expected 1 or more, got 0",
        ),
        "half a step": (
            lambda: next(annealed_log_likelihoods(PLAIN, DATA, DATA.test, steps=1.5)),
            "steps: expected a whole number, got 1.5",
        ),
        "no images": (lambda: next(annealed_log_likelihoods(PLAIN, DATA, NONE)), "images: expected 1 or more, got 0"),
        "no density": (
            lambda: next(annealed_log_likelihoods(AUTOENCODER, DATA, DATA.test)),
            "evaluate: expected .*, got a plain autoencoder",
        ),
    },
    "gradient_noise": {
        "one draw": (lambda: gradient_noise(None, None, None, {}, 1), "draws: expected 2 or more, got 1"),
        "half a draw": (lambda: gradient_noise(None, None, None, {}, 2.5), "draws: expected a whole number, got 2.5"),
    },
    "SVI": {
        "precision": (
            lambda: SVI(PLAIN.model, PLAIN.guide, None, TraceELBO(), precision="fp8"),
            "precision: expected one of fp32, tf32, bf16, got 'fp8'",
        ),
    },
    "Run": {
        "nothing": (lambda: Run("nowhere"), "run: expected a run folder with a config.toml at nowhere, got nothing"),
        "no path": (lambda: Run("a\0b"), r"run: expected a path, got 'a\\x00b'"),
        "empty": (lambda: Run(""), "run: expected a path, got ''"),
        "none to make": (lambda: Run.create("a\0b", CONFIG), r"out: expected a path, got 'a\\x00b'"),
        "too long": (lambda: Run.create("a" * 300, CONFIG), "out: expected a path, got: File name too long"),
        "lines": (lambda: Run("a\nb"), r"run: expected a run folder with a config.toml at a\\nb, got nothing"),
        "a file": (lambda: Run.create(__file__, CONFIG), "out: expected a folder at .*, got a file"),
        "in a file": (
            lambda: Run.create(f"{__file__}/x", CONFIG),
            "out: expected a place that can be written at .*, got",
        ),
    },
}


@pytest.mark.parametrize(
    ("call", "expected"),
    [pytest.param(*case, id=f"{name}, {what}") for name, cases in CALLS.items() for what, case in cases.items()],
)
def test_a_bad_call_is_refused_in_one_line(call, expected, here):
    with pytest.raises(InputError, match=expected) as refusal:
        call()
    assert "\n" not in str(refusal.value)
    assert not list(here.iterdir())


def test_a_label_may_be_shared_between_classes():
    assert LABEL.generate(y=torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])).shape == (2, 1, 8, 8)

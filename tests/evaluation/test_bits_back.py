"""Bits-back coding: images come back bit for bit, and take as many bits as the bound says."""

import itertools

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from support.builders import small_data, small_vae
from torch import nn

from pyrovae import Config, Data, InputError, Program, build, elbo_scores, fit, load
from pyrovae.evaluation.bits_back import BitsBack
from pyrovae.evaluation.codec_of import codec_of
from pyrovae.inference import seeded
from pyrovae.inference.traces import sample_sites

pytest.importorskip("constriction")


def binary(*shape):
    return np.random.default_rng(0).integers(0, 2, shape, dtype=np.int32)


def coded(program, x, bits=14):
    """Code images and decode them; return nats per image, without what it takes to start."""
    coder = BitsBack(program, bits)
    message, start = coder.encode(x, coder.values(x))
    np.testing.assert_array_equal(coder.decode(message, start, len(x), coder.values(x)), x)
    return 32 * (len(message) - start) * np.log(2) / len(x)


def bound(program, data, images, draws=20):
    with seeded(0):
        return np.mean([elbo_scores(program, data, images)["loss"] for _ in range(draws)])


LIKELIHOODS = [
    ("bernoulli", "threshold"),
    ("bernoulli", "dynamic"),
    ("bernoulli", "static"),
    ("categorical", "bytes"),
    ("discretized_logistic", "bytes"),
    ("discretized_logistic_mixture", "bytes"),
    ("poisson", "bytes"),
    ("negative_binomial", "bytes"),
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("likelihood", "pixels"), LIKELIHOODS)
def test_images_come_back_by_each_likelihood(likelihood, pixels, channels):
    shape = (channels, 8, 8)
    program, _ = small_vae(shape, likelihood=likelihood, pixels=pixels)
    data = small_data(6, shape, pixels=pixels)
    coder = BitsBack(program)
    x = coder.symbols(data, data.test)
    np.testing.assert_array_equal(x, data.batch(data.test, slice(None)).x.numpy())
    coded(program, x)


PRIORS = [*itertools.product(("laplace", "student_t", "mixture"), ("diagonal", "lowrank", "full"))]


@pytest.mark.parametrize(("prior", "posterior"), [*PRIORS, ("vamp", "diagonal")])  # another vamp is refused: see below
def test_images_come_back_by_each_prior_and_posterior(prior, posterior):
    program, _ = small_vae(prior=prior, posterior=posterior, pixels="threshold", components=5)
    coded(program, binary(5, 1, 8, 8))


@pytest.mark.parametrize("inference", ["bottom_up", "top_down", "ladder"])
def test_images_come_back_by_a_hierarchy(inference):
    program, _ = small_vae(program="hierarchical", latent_dim=(3, 2), inference=inference, pixels="threshold")
    coded(program, binary(5, 1, 8, 8))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"posterior": "full"},
        {"posterior": "lowrank"},
        {"prior": "laplace"},
        {"prior": "student_t"},
        {"prior": "mixture", "components": 4},
        {"prior": "vamp", "components": 4},
        {"program": "hierarchical", "latent_dim": (3, 2)},
        {"program": "mixture"},
        {"program": "semi_supervised"},
        {"program": "discrete", "variables": 6, "symbols": 4, "latent_dim": 2},
        {"pixels": "bytes", "likelihood": "discretized_logistic"},
        {"pixels": "bytes", "likelihood": "categorical"},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())) or "vae",
)
def test_images_take_the_bits_of_the_codes_that_are_drawn(settings, monkeypatch):
    """Exactly −log₂ p(x, z)/q(z | x) at the very z of each image."""
    settings = {"pixels": "threshold"} | settings
    program, _ = small_vae(**settings)
    data, drawn = small_data(60, pixels=settings["pixels"]), []
    coder, pop = BitsBack(program), BitsBack._pop

    def noting(*args):
        drawn.append(pop(*args))
        return drawn[-1]

    monkeypatch.setattr(BitsBack, "_pop", noting)
    x = coder.symbols(data, data.test)
    message, start = coder.encode(x, coder.values(x))
    expected = -sum(log_weight(coder, image, symbols) for image, symbols in zip(x, drawn, strict=True))
    assert 32 * (len(message) - start) * np.log(2) == pytest.approx(expected, rel=1e-3, abs=2 * 32 * np.log(2))


def log_weight(coder, x, symbols):
    """Return log p(x, z)/q(z | x) by Pyro, at the middles of the bins of z."""
    image, values = torch.from_numpy(x[None]).double(), {}

    def value(name, fn):
        values[name] = torch.from_numpy(codec_of(name, fn, coder.bins, 2).value(symbols[name]))[None]
        return values[name]

    coder._run(coder.program.guide, value, x)
    guide = poutine.trace(poutine.condition(coder.program.guide, values)).get_trace(image)
    model = poutine.trace(poutine.condition(coder.program.model, values)).get_trace(image)
    latents = [site for name, site in sample_sites(guide).items() if name in values]
    guide.compute_log_prob()
    return model.log_prob_sum().item() - sum(site["log_prob"].sum().item() for site in latents)


@pytest.mark.parametrize("bits", [12, 16])
def test_digits_take_as_many_bits_as_the_bound_says(bits):
    config = Config(pixels="threshold", epochs=5, device="cpu", compile="no", hidden=(64,))
    data = load(config)
    program = build(config, data.shape)
    for _ in fit(program, data, config):
        pass
    nats = coded(program, BitsBack(program).symbols(data, data.test), bits)
    assert nats == pytest.approx(bound(program, data, data.test), rel=0.01)


@pytest.mark.parametrize(
    ("pixels", "likelihood"), [("counts", "poisson"), ("counts", "negative_binomial"), ("binary", "bernoulli")]
)
def test_rows_of_tables_come_back(pixels, likelihood):
    rows = torch.poisson(torch.full((40, 5), 3.0)) if pixels == "counts" else torch.bernoulli(torch.full((40, 5), 0.3))
    data = Data.of(rows, pixels=pixels)
    program, _ = small_vae((5,), 0, pixels=pixels, likelihood=likelihood)
    x = BitsBack(program).symbols(data, data.test)
    assert x.shape == (8, 5)
    coded(program, x)


class Bright(Program):
    """A program with a latent that is a single number, beside its code, and another of truth values."""

    def __init__(self):
        super().__init__()
        self.shape = (1, 2, 3)
        self.weight = nn.Parameter(torch.randn(2, 6))

    def model(self, x=None, y=None, n=1):
        zero = self.weight.new_zeros(())
        with pyro.plate("images", n if x is None else len(x)):
            z = pyro.sample("z", dist.Normal(zero, 1.0).expand([2]).to_event(1))
            bright = pyro.sample("bright", dist.Laplace(zero, 1.0))
            on = pyro.sample("on", dist.Bernoulli(zero + 0.3).expand([6]).to_event(1))
            h = (z @ self.weight + bright[..., None]) * on
            return pyro.sample("x", dist.Bernoulli(logits=h.unflatten(-1, self.shape)).to_event(3), obs=x)

    def guide(self, x, y=None):
        with pyro.plate("images", len(x)):
            flat = x.flatten(-3)
            pyro.sample("on", dist.Bernoulli(0.2 + 0.6 * flat).to_event(1))
            pyro.sample("bright", dist.Normal(flat.mean(-1), 0.5))
            pyro.sample("z", dist.Normal(flat @ self.weight.mT, 0.5).to_event(1))


def test_images_come_back_by_a_program_of_ones_own():
    coded(Bright(), binary(50, 1, 2, 3))


def test_the_message_is_the_same_each_time_and_on_any_number_of_threads():
    program, _ = small_vae(pixels="threshold")
    x = binary(5, 1, 8, 8)
    threads = torch.get_num_threads()
    messages = [BitsBack(program).encode(x, 2)[0]]
    torch.set_num_threads(2)
    try:
        messages.append(BitsBack(program).encode(x, 2)[0])
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*messages)


def elsewhere(change):
    """Return the message of twenty images, and a coder whose weights differ from the first by a relative `change`."""
    program, _ = small_vae(pixels="threshold")
    x, other = binary(20, 1, 8, 8), BitsBack(program)
    with torch.no_grad():
        for parameter in other.program.parameters():
            parameter.mul_(1 + change * torch.randn_like(parameter))
    return x, BitsBack(program).encode(x, 2), other


def test_numbers_that_differ_in_their_last_digits_decode():
    """As on another machine."""
    x, message, other = elsewhere(1e-13)
    np.testing.assert_array_equal(other.decode(*message, n=20, values=2), x)


def test_other_numbers_are_found_by_the_checksum():
    _, message, other = elsewhere(1e-3)
    with pytest.raises(InputError, match="decompress: expected images that agree with the checksum"):
        other.decode(*message, n=20, values=2)


def test_the_program_stays_as_it_is():
    program, _ = small_vae(pixels="threshold")
    program.train()
    before = torch.get_rng_state()
    BitsBack(program).encode(np.zeros((2, 1, 8, 8), np.int32), 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert next(program.parameters()).dtype == torch.float32
    assert program.training


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"pixels": "grey"}, "a mass function of each pixel, got Bernoulli: a density, or a relaxed score"),
        ({"pixels": "standardized", "likelihood": "gaussian"}, "a mass function of each pixel, got Normal"),
        ({"pixels": "dequantised", "likelihood": "beta"}, "a mass function of each pixel, got StableBeta"),
        ({"condition": "label"}, "a model without a condition"),
        ({"posterior": "delta"}, "a plain autoencoder"),
        ({"posterior": "flow"}, "the site 'z' to be .*, got TransformedDistribution"),
        ({"prior": "flow"}, "the site 'z' to be .*, got TransformedDistribution"),
        (
            {"prior": "vamp", "posterior": "full", "components": 5},
            "the site 'z' to be .*, got PosteriorMixture",
        ),
    ],
)
def test_what_it_cannot_code_by_is_refused(settings, expected):
    program, _ = small_vae(**({"pixels": "threshold"} | settings))
    with pytest.raises(InputError, match=f"^compress: expected .*{expected}"):
        BitsBack(program)


def test_bits_and_missing_values_are_checked():
    program, _ = small_vae(pixels="threshold")
    with pytest.raises(InputError, match="bits: expected from 1 to 20, got 21"):
        BitsBack(program, 21)
    rows = torch.bernoulli(torch.full((40, 5), 0.3))
    data = Data.of(rows, pixels="binary", missing=torch.rand(40, 5) < 0.3)
    with pytest.raises(InputError, match="expected a model of whole data"):
        BitsBack(build(Config(pixels="binary"), data.shape, missing=True))

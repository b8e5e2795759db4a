"""The importance-sampled log-likelihood, against exact ones."""

import json
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from conftest import small_data, small_vae

from pyrovae import Config, InputError, build, fit, load, log_likelihoods
from pyrovae.evaluation import log_weights, pareto_k, summarise


@pytest.fixture
def linear_gaussian():
    """X = W z + noise in float64: model, a guide that may be off, data, and the exact log-likelihood of each row."""
    torch.set_default_dtype(torch.float64)
    weight, scale, x = torch.randn(6, 2), 0.7, 2 * torch.randn(40, 6)
    precision = torch.eye(2) + weight.T @ weight / scale**2
    loc = torch.linalg.solve(precision, weight.T @ x.T / scale**2).T
    cholesky = torch.linalg.cholesky(torch.linalg.inv(precision))

    def model(x):
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight.T, scale).to_event(1), obs=x)

    def guide_of(stretch, shift=0.0):
        def guide(x):
            with pyro.plate("images", len(x)):
                pyro.sample("z", dist.MultivariateNormal(loc + shift, scale_tril=stretch * cholesky))

        return guide

    marginal = dist.MultivariateNormal(torch.zeros(6), weight @ weight.T + scale**2 * torch.eye(6))
    yield model, guide_of, x, marginal.log_prob(x)
    torch.set_default_dtype(torch.float32)


def estimate(log_w):
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def test_with_the_exact_posterior_every_weight_is_the_likelihood(linear_gaussian):
    model, guide_of, x, exact = linear_gaussian
    log_w = log_weights(model, guide_of(1.0), 3, x)
    assert log_w.shape == (3, 40)
    torch.testing.assert_close(log_w, exact.expand(3, -1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("stretch", "shift"), [(1.5, 0.0), (1.2, 0.1), (0.9, 0.0)])
def test_with_another_guide_it_meets_the_exact_one_within_two_standard_errors(linear_gaussian, stretch, shift):
    model, guide_of, x, exact = linear_gaussian
    log_w = log_weights(model, guide_of(stretch, shift), 5000, x)
    error = (log_w.exp().std(0) / log_w.exp().mean(0)).square().mean().sqrt() / math.sqrt(5000 * len(x))
    assert abs(estimate(log_w).mean() - exact.mean()) < 2 * error


def test_more_samples_bound_the_likelihood_more_closely(linear_gaussian):
    """ELBO ≤ IWAE-5 ≤ IWAE-50 ≤ log p(x), in the mean over many repetitions."""
    model, guide_of, x, exact = linear_gaussian
    log_w = log_weights(model, guide_of(1.6, 0.2), 5000, x)
    bounds = [estimate(log_w.view(k, -1, len(x))).mean() for k in (1, 5, 50)]
    assert bounds[0] < bounds[1] < bounds[2] < exact.mean()


def test_a_trained_two_dimensional_model_meets_quadrature():
    config = Config(epochs=30, device="cpu", pixels="threshold")
    data = load(config)
    vae = build(config, data.shape)
    for _ in fit(vae, data, config):
        pass
    images = data.test[slice(0, 20)]
    (batch,) = log_likelihoods(vae, data, images, samples=5000)
    axis = torch.linspace(-7, 7, 561)
    z = torch.cartesian_prod(axis, axis)
    x = data.batch(images, slice(0, 20)).x
    with torch.no_grad():
        joint = torch.cat(
            [
                vae.likelihood(vae.decoder(part)[:, None]).log_prob(x) + vae.prior().log_prob(part)[:, None]
                for part in z.split(20_000)
            ]
        )
    exact = torch.logsumexp(joint.double(), 0) + 2 * math.log(14 / 560)
    assert (batch["log_likelihood"] - exact).abs().max() < 0.05
    assert (batch["elbo"] < batch["log_likelihood"]).all()


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
def test_it_runs_in_parts_for_every_condition(condition, monkeypatch):
    monkeypatch.setattr("pyrovae.evaluation.IMAGES", 15)
    monkeypatch.setattr("pyrovae.evaluation.NUMBERS", 15 * 64 * 30)  # thirty samples at once
    vae, _ = small_vae(condition=condition, network="conv")
    data = small_data()
    batches = list(log_likelihoods(vae, data, data.test, samples=100))
    assert [len(batch["elbo"]) for batch in batches] == [15, 15, 10]
    found = summarise(batches, 100)
    assert found["images"] == 40
    assert found["elbo"] < found["log_likelihood"] < 0
    assert 1 <= found["effective_samples"] <= 100


@pytest.mark.parametrize(("width", "low", "high"), [(0.5, 0.6, 1.5), (1.5, -1.0, 0.4)])
def test_pareto_k_tells_a_guide_that_is_too_narrow(width, low, high):
    """P = N(0, 1), q = N(0, width²) in four dimensions: weights of a narrow q have no variance (k > ½)."""
    q = dist.Normal(0.0, width)
    z = q.sample((5000, 4))
    assert low < pareto_k((dist.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).sum(-1).double()) < high
    assert math.isnan(pareto_k(torch.zeros(5)))
    assert pareto_k(torch.full((5000,), -80.0)) == 0


def test_what_cannot_be_estimated_is_refused():
    data = small_data()
    with pytest.raises(InputError, match="samples: expected 1 or more, got 0"):
        next(log_likelihoods(small_vae()[0], data, data.test, samples=0))
    with pytest.raises(InputError, match="got a plain autoencoder"):
        next(log_likelihoods(small_vae(posterior="delta")[0], data, data.test))


def test_the_command_writes_what_it_says(tmp_path, monkeypatch, capsys):
    from pyrovae.cli import main

    monkeypatch.chdir(tmp_path)
    for line in (
        "train --epochs 2 --hidden 16 --pixels bytes --likelihood discretized_logistic --device cpu --out run",
        "evaluate run --samples 200 --images 30",
    ):
        with pytest.raises(SystemExit) as done:
            main(line.split())
        assert done.value.code == 0
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert (found["images"], found["samples"], found["protocol"], found["density"]) == (30, 200, "bytes", True)
    assert found["bits_per_dimension"] == pytest.approx(-found["log_likelihood"] / math.log(2) / 64)
    assert f"log p(x) = {found['log_likelihood']:.2f} ± {found['standard_error']:.2f}" in capsys.readouterr().out

"""The importance-sampled log-likelihood, against exact ones."""

import contextlib
import json
import math

import pyro
import pyro.distributions as dist
import pytest
import safetensors
import torch
from pyro import poutine
from safetensors.torch import save_file
from support.builders import small_data, small_vae
from support.commands import pyrovae

from pyrovae import Config, InputError, Run, annealed_log_likelihoods, fit, load, log_likelihoods
from pyrovae.evaluation.elbo import arguments
from pyrovae.evaluation.importance import are_heavy, log_weights, numbers_per_sample, pareto_k, summarise
from pyrovae.inference.parameters import hidden
from pyrovae.inference.traces import joint_log_prob
from pyrovae.programs.build import build_for
from pyrovae.runs.estimates import Estimates

SAMPLES = 5000


def estimate(log_w):
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def test_with_the_exact_posterior_every_weight_is_the_likelihood(linear_gaussian):
    model, guide_of, x, exact = linear_gaussian
    log_w = log_weights(model, guide_of(1.0), 3, x)
    assert log_w.shape == (3, 40)
    torch.testing.assert_close(log_w, exact.expand(3, -1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("stretch", "shift"), [(1.5, 0.0), (1.2, 0.1), (0.9, 0.0)])
def test_with_another_guide_the_estimate_is_within_two_standard_errors(linear_gaussian, stretch, shift):
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


def test_the_monte_carlo_error_is_the_spread_of_repeated_estimates(linear_gaussian):
    """The spread over 400 repetitions is known to 1 / √800 = 3.5 %."""
    model, guide_of, x, _ = linear_gaussian
    k, repetitions = 200, 400
    log_w = log_weights(model, guide_of(1.3, 0.1), k * repetitions, x).view(k, repetitions, -1)
    means = estimate(log_w).mean(-1)

    def summary(log_w):
        ones, ess = torch.ones(len(x)), (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()
        batch = {"log_likelihood": estimate(log_w), "elbo": log_w.mean(0), "effective_samples": ess, "pareto_k": ones}
        return summarise([batch], len(log_w))

    errors = torch.tensor([summary(log_w[:, i])["monte_carlo_error"] for i in range(repetitions)])
    assert errors.mean().item() == pytest.approx(means.std().item(), rel=0.12)
    assert summary(log_w[:1, 0])["monte_carlo_error"] is None
    exact = log_weights(model, guide_of(1.0), 50, x)
    assert summary(exact)["monte_carlo_error"] < 1e-6


def quadrature(vae, x, reach, points, y=None):
    """Compute log p(x | y) by a sum over a grid of two-dimensional codes."""
    axis = torch.linspace(-reach, reach, points)
    total = torch.full((len(x),), -math.inf, dtype=torch.float64)
    with torch.no_grad(), hidden():
        for z in torch.cartesian_prod(axis, axis).split(10_000):
            at_z = poutine.condition(vae.model, {"z": z[:, None].expand(-1, len(x), -1)})
            with pyro.plate("grid", len(z), dim=-2):
                joint = joint_log_prob(poutine.trace(at_z).get_trace(x, y))
            total = torch.logaddexp(total, torch.logsumexp(joint.double(), 0))
    return total + 2 * math.log(2 * reach / (points - 1))


def trained(**settings):
    config = Config(device="cpu", **settings)
    data = load(config)
    vae = build_for(config, data)
    for _ in fit(vae, data, config):
        pass
    return vae, data


def assert_meets(batch, exact):
    """Assert that each image's estimate is within four of its standard errors, and their mean within two."""
    error = (1 / batch["effective_samples"] - 1 / SAMPLES).clamp_min(0).sqrt() + 1e-3
    difference = batch["log_likelihood"] - exact
    assert (difference.abs() < 4 * error).all()
    assert difference.mean().abs() < 2 * error.square().mean().sqrt() / math.sqrt(len(exact)) + 1e-3
    assert (batch["elbo"] < batch["log_likelihood"]).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"prior": "normal"},
        {"prior": "mixture", "components": 5},
        {"prior": "vamp", "components": 20},
        {"prior": "exemplar", "components": 100},
        {"prior": "flow"},
        {"posterior": "full"},
        {"posterior": "flow"},
        {"condition": "label"},
        {"condition": "quadrant1"},
    ],
    ids=lambda settings: next(iter(settings.values())),
)
def test_a_trained_two_dimensional_model_meets_quadrature(settings):
    vae, data = trained(epochs=15, pixels="threshold", **settings)
    images = data.test[slice(0, 20)]
    (batch,) = log_likelihoods(vae, data, images, samples=SAMPLES)
    x, y = arguments(vae, data.batch(images, slice(0, 20)))
    assert_meets(batch, quadrature(vae, x, reach=10, points=401, y=y))


def test_a_trained_two_dimensional_model_of_mnist_meets_quadrature(data_dir):
    """Draws of the prior find the modes far from all draws of the guide, which the guide's own weights cannot show."""
    vae, data = trained(dataset="mnist", data_dir=data_dir, pixels="dynamic", epochs=3, batch_size=256, lr=3e-3)
    images = data.test[slice(0, 16)]
    x = data.batch(images, slice(0, 16)).x
    exact = quadrature(vae, x, reach=4.5, points=301)
    (batch,) = log_likelihoods(vae, data, images, samples=SAMPLES)
    of_guide = estimate(log_weights(vae.model, vae.guide, SAMPLES, x))
    for name, scores in (("mixture", batch["log_likelihood"]), ("guide alone", of_guide)):
        print(f"{name}: {(scores - exact).mean():.3f} nats in the mean, {(scores - exact).min():.2f} at worst")
    assert_meets(batch, exact)
    assert (of_guide - exact).min() < -1  # a mode that the guide's own draws miss
    (annealed,) = annealed_log_likelihoods(vae, data, images, steps=100)
    assert (annealed["log_likelihood"] - exact).abs().median() < 0.15


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
def test_samples_are_weighed_in_parts_for_every_condition(condition, monkeypatch):
    monkeypatch.setattr("pyrovae.evaluation.importance.IMAGES", 15)
    monkeypatch.setattr("pyrovae.evaluation.importance.NUMBERS", 15 * 64 * 30)  # thirty samples at once
    vae, _ = small_vae(condition=condition, network="conv")
    data = small_data()
    batches = list(log_likelihoods(vae, data, data.test, samples=100))
    assert [len(batch["elbo"]) for batch in batches] == [15, 15, 10]
    estimate = summarise(batches, 100)
    assert estimate["images"] == 40
    assert estimate["elbo"] < estimate["log_likelihood"] < 0
    assert 1 <= estimate["effective_samples"] <= 100


@pytest.mark.parametrize(("network", "widest"), [("resnet", 32 * 64), ("mlp", 64)])
def test_memory_is_estimated_by_the_widest_layer(network, widest):
    vae, _ = small_vae(network=network, hidden=(16,))
    data = small_data()
    assert numbers_per_sample(vae, data.batch(data.test, slice(0, 3)).x, None) == widest


@pytest.mark.parametrize(("width", "low", "high"), [(0.5, 0.6, 1.5), (1.5, -1.0, 0.4)])
def test_pareto_k_is_high_for_a_guide_that_is_too_narrow(width, low, high):
    """P = N(0, 1), q = N(0, width²) in four dimensions: weights of a narrow q have no variance (k > ½)."""
    q = dist.Normal(0.0, width)
    z = q.sample((5000, 4))
    assert low < pareto_k((dist.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).sum(-1).double()) < high
    assert math.isnan(pareto_k(torch.zeros(5)))
    assert pareto_k(torch.full((5000,), -80.0)) == 0


def test_no_samples_and_no_density_are_refused():
    data = small_data()
    with pytest.raises(InputError, match="samples: expected 1 or more, got 0"):
        next(log_likelihoods(small_vae()[0], data, data.test, samples=0))
    with pytest.raises(InputError, match="got a plain autoencoder"):
        next(log_likelihoods(small_vae(posterior="delta")[0], data, data.test))


def test_the_command_writes_what_it_prints(tmp_path, monkeypatch, capsys):
    from pyrovae.cli import main

    monkeypatch.chdir(tmp_path)
    for line in (
        "train --epochs 2 --hidden 16 --pixels bytes --likelihood discretized_logistic --device cpu --out run",
        "evaluate run --samples 200 --images 30",
    ):
        with pytest.raises(SystemExit) as done:
            main(line.split())
        assert done.value.code == 0
    saved = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert (saved["images"], saved["samples"], saved["protocol"], saved["density"]) == (30, 200, "bytes", True)
    assert saved["bits_per_dimension"] == pytest.approx(-saved["log_likelihood"] / math.log(2) / 64)
    printed, latents = capsys.readouterr().out, saved["latents"]
    errors = f"± {saved['standard_error']:.2f} (images) ± {saved['monte_carlo_error']:.3f} (samples"
    assert f"log p(x) = {saved['log_likelihood']:.2f} {errors}" in printed
    lower, upper = latents["mutual_information_lower"], latents["mutual_information_upper"]
    assert f"mutual information {lower:.2f} to {upper:.2f}, marginal KL {latents['marginal_kl_lower']:.2f}" in printed


def test_the_estimates_of_each_image_are_kept_as_those_of_one_evaluation(here, capsys):
    assert pyrovae("train --epochs 1 --hidden 8 --pixels static --no-figures --out run") == 0
    run = Run(here / "run")
    assert run.estimates is None
    assert pyrovae("evaluate run --samples 100 --images 30 --no-latents") == 0
    estimates, evaluation = run.estimates, run.evaluation
    assert {(name, each.dtype, each.shape) for name, each in estimates.items()} == {
        (name, torch.float32, (30,)) for name in ("log_likelihood", "elbo", "effective_samples")
    }
    assert estimates["log_likelihood"].mean().item() == pytest.approx(evaluation["log_likelihood"], rel=1e-6)
    error = estimates["log_likelihood"].std() / 30**0.5
    assert error.item() == pytest.approx(evaluation["standard_error"], rel=1e-5)
    assert estimates["elbo"].mean().item() == pytest.approx(evaluation["elbo"], rel=1e-6)
    assert estimates["effective_samples"].median().item() == pytest.approx(evaluation["effective_samples"], rel=1e-6)
    run.save_evaluation(evaluation | {"seed": 1})
    with pytest.raises(
        InputError, match=r"expected estimates.safetensors of the evaluation in .*, got those of anothe"
    ):
        _ = run.estimates
    run.save_evaluation(evaluation)
    file = here / "run/estimates.safetensors"
    with safetensors.safe_open(file, "pt") as opened:
        about = opened.metadata()
    for tensors in ({"elbo": estimates["elbo"]}, estimates | {"elbo": torch.zeros(29)}, {}):
        save_file(tensors, file, about)
        with pytest.raises(InputError, match=r"expected a sound estimates.safetensors in .*, got: "):
            _ = run.estimates
    assert pyrovae("train --resume --epochs 2 --out run --no-figures") == 0  # other weights
    assert not file.exists()


@pytest.mark.parametrize(("share", "word"), [(0.05, "(samples)"), (0.5, "(samples, at least)")])
def test_with_heavy_tails_the_error_of_the_samples_is_said_to_be_the_least(share, word, tmp_path, monkeypatch, capsys):
    from pyrovae.runs import evaluating

    monkeypatch.chdir(tmp_path)
    whole = evaluating.summarise
    monkeypatch.setattr(evaluating, "summarise", lambda *args: whole(*args) | {"unreliable_share": share})
    assert pyrovae("train --epochs 1 --hidden 8 --pixels static --no-figures --out run") == 0
    assert pyrovae("evaluate run --samples 100 --images 10 --no-latents") == 0
    printed = capsys.readouterr().out
    assert word in printed
    assert ("tail is too heavy" in printed) == are_heavy(share)


def ends_after(number):
    """Return an `Estimates.add` that raises KeyboardInterrupt after so many batches."""
    batches = iter(range(number))

    def add(estimates, batch):
        if next(batches, None) is None:
            raise KeyboardInterrupt
        added(estimates, batch)

    added = Estimates.add
    return add


@pytest.mark.parametrize("samples", [100, 3000])  # by the program as it is, and compiled
@pytest.mark.parametrize("killed", [False, True])
def test_a_resumed_evaluation_has_the_numbers_of_one_that_never_stopped(samples, killed, world, monkeypatch, capsys):
    line = f"evaluate run --samples {samples} --no-latents --device cpu"
    assert pyrovae(line) == 0
    whole = (world / "run/evaluation.json").read_bytes()
    left = world / "run/evaluation.pt"
    assert not left.exists()
    for number in (2, 3):
        with monkeypatch.context() as patch:
            patch.setattr(Estimates, "add", ends_after(number))
            if killed:
                patch.setattr("pyrovae.runs.estimates.SECONDS", 0)
                patch.setattr(Estimates, "kept", contextlib.nullcontext)
            assert pyrovae(line + " --resume" * left.exists()) == 130
    assert "interrupted after 250 of 359 images; the same command with --resume goes on" in capsys.readouterr().err
    assert len(torch.load(left, weights_only=True)["found"]["elbo"]) == 250
    assert pyrovae(f"{line} --resume") == 0
    assert (world / "run/evaluation.json").read_bytes() == whole
    assert not left.exists()


def test_an_evaluation_is_resumed_only_with_the_same_settings_and_weights(world, monkeypatch, capsys):
    line = "evaluate run --samples 9 --device cpu"
    with monkeypatch.context() as patch:
        patch.setattr(Estimates, "add", ends_after(1))
        assert pyrovae(line) == 130
    for more, wanted in (
        ("--samples 8", "samples 9, with which run/evaluation.pt was begun, got 8"),
        ("--images 70", "images 359, with which run/evaluation.pt was begun, got 70"),
        ("--seed 3", "seed 0, with which run/evaluation.pt was begun, got 3"),
    ):
        capsys.readouterr()
        assert pyrovae(f"{line} --resume {more}") == 2
        assert capsys.readouterr().err == f"pyrovae: resume: expected {wanted}\n"
    left = world / "run/evaluation.pt"
    saved = torch.load(left, weights_only=True)
    for estimates in ({"elbo": torch.zeros(50)}, {name: torch.zeros(360) for name in saved["found"]}):
        torch.save(saved | {"found": estimates}, left)
        assert pyrovae(f"{line} --resume") == 2
        assert "run: expected a sound evaluation.pt in run, got: " in capsys.readouterr().err
    assert pyrovae("train --resume --epochs 3 --out run --no-figures") == 0  # other weights
    assert pyrovae(f"{line} --resume") == 2
    assert "run: expected evaluation.pt in run, got none" in capsys.readouterr().err

"""Annealed importance sampling, against exact likelihoods and beside plain importance sampling."""

import json
import math

import pytest
import torch
from support.builders import small_data, small_vae
from support.hierarchy import LinearHierarchy

from pyrovae import InputError, annealed_log_likelihoods, log_likelihoods
from pyrovae.cli import main
from pyrovae.evaluation.annealing import annealed_log_weights, compare, schedule
from pyrovae.evaluation.importance import log_weights
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS

NEEDS_A_CONDITION = {"conditional"}


def estimate(log_w):
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def standard_error(log_w):
    """Estimate the standard error of the mean over the images."""
    relative = log_w.exp().std(0) / log_w.exp().mean(0)
    return relative.square().mean().sqrt() / math.sqrt(log_w.numel())


@pytest.mark.parametrize(("stretch", "shift"), [(1.5, 0.0), (0.5, 0.0), (0.5, 0.5)])
def test_annealing_meets_the_exact_likelihood_within_two_standard_errors(linear_gaussian, stretch, shift):
    model, guide_of, x, exact = linear_gaussian
    log_w, acceptance = annealed_log_weights(model, guide_of(stretch, shift), 200, 50, x)
    assert log_w.shape == (200, 40)
    assert acceptance.shape == (40,)
    assert abs(estimate(log_w).mean() - exact.mean()) < 2 * standard_error(log_w)


def test_annealing_of_several_latents_meets_the_exact_likelihood_within_two_standard_errors():
    """The guide's draws of the upper latent are far too narrow: only the chains reach the others."""
    program, x = LinearHierarchy(narrow=0.3), torch.randn(20, 3)
    log_w, acceptance = annealed_log_weights(program.model, program.guide, 200, 60, x)
    exact = program.log_likelihood(x)
    assert acceptance.min() > 0.3
    assert abs(estimate(log_w).mean() - exact.mean()) < 2 * standard_error(log_w)
    plain = log_weights(program.model, program.guide, 200, x)
    assert (estimate(log_w) - exact).abs().mean() < 0.3 * (estimate(plain) - exact).abs().mean()


@pytest.mark.parametrize("posterior", ["diagonal", "flow"])
@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
def test_one_step_of_several_latents_is_importance_sampling(posterior, inference):
    program, _ = small_vae(program="hierarchical", latent_dim=(4, 2), posterior=posterior, inference=inference)
    x = torch.rand(5, 1, 8, 8)
    annealed, _ = annealed_log_weights(program.model, program.guide, 4000, 1, x)
    plain = log_weights(program.model, program.guide, 4000, x).double()
    error = (annealed.var(0) / 4000 + plain.var(0) / 4000).sqrt()
    assert ((annealed.mean(0) - plain.mean(0)).abs() < 4 * error).all()


def test_discrete_latents_are_refused_in_one_line():
    program, _ = small_vae(program="semi_supervised")
    with pytest.raises(InputError, match="ais: expected a program whose latents are continuous, got the discrete y"):
        annealed_log_weights(program.model, program.guide, 2, 2, torch.rand(2, 1, 8, 8))


def test_annealing_does_not_need_a_guide_that_covers_the_posterior(linear_gaussian):
    model, guide_of, x, exact = linear_gaussian
    guide = guide_of(0.2, 0.5)
    annealed, _ = annealed_log_weights(model, guide, 20, 100, x)
    plain = log_weights(model, guide, 2000, x)
    assert (estimate(annealed) - exact).abs().mean() < 0.1 * (estimate(plain) - exact).abs().mean()


def test_one_step_is_importance_sampling(linear_gaussian):
    model, guide_of, x, exact = linear_gaussian
    log_w, _ = annealed_log_weights(model, guide_of(1.0), 3, 1, x)
    torch.testing.assert_close(log_w, exact.expand(3, -1), rtol=0, atol=1e-6)


def test_the_schedule_goes_from_zero_to_one_and_is_closest_at_the_ends():
    times = torch.tensor(schedule(10))
    gaps = times.diff()
    assert times[0] == 0
    assert times[-1] == 1
    assert (gaps > 0).all()
    assert gaps[0] < gaps[4] > gaps[-1]


@pytest.mark.parametrize("posterior", sorted(POSTERIORS.keys() - {"delta"}))
@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_annealing_runs_for_every_prior_and_posterior(prior, posterior):
    condition = "label" if prior in NEEDS_A_CONDITION else "none"
    vae, _ = small_vae(prior=prior, posterior=posterior, condition=condition, components=4, pixels="threshold")
    data = small_data(n=6, pixels="threshold")
    (plain,) = log_likelihoods(vae, data, data.test, samples=2000)
    batches = list(annealed_log_likelihoods(vae, data, data.test, chains=8, steps=5))
    annealed = torch.cat([batch["log_likelihood"] for batch in batches])
    assert abs(annealed.mean() - plain["log_likelihood"].mean()) < 0.3  # the noise of eight chains


@pytest.mark.parametrize("condition", ["label", "quadrant1"])
def test_annealing_runs_for_conditional_models(condition):
    vae, _ = small_vae(condition=condition, pixels="threshold")
    data = small_data(n=6, pixels="threshold")
    (batch,) = annealed_log_likelihoods(vae, data, data.test, chains=4, steps=5)
    assert batch["log_likelihood"].isfinite().all()
    assert ((batch["acceptance"] > 0) & (batch["acceptance"] <= 1)).all()


def test_no_weight_moves_and_none_gets_a_gradient():
    vae, _ = small_vae()
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    list(annealed_log_likelihoods(vae, small_data(n=3), small_data(n=3).test, chains=2, steps=3))
    assert all(torch.equal(before[name], tensor) for name, tensor in vae.state_dict().items())
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_both_estimates_are_compared_image_by_image():
    importance = [{"log_likelihood": torch.tensor([-3.0, -2.0])}, {"log_likelihood": torch.tensor([-9.0])}]
    annealed = [{"log_likelihood": torch.tensor([-2.0, -2.0]), "acceptance": torch.tensor([0.5, 0.7])}]
    comparison = compare(importance, annealed, steps=7)
    assert comparison["difference"] == 0.5
    assert comparison["standard_error"] == pytest.approx(math.sqrt(0.5) / math.sqrt(2))
    assert comparison["importance_sampled"] == -2.5
    assert (comparison["images"], comparison["steps"]) == (2, 7)
    assert comparison["acceptance"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"steps": 0}, "steps: expected 1 or more, got 0"), ({"chains": 0}, "chains: expected 1 or more, got 0")],
)
def test_bad_input_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        next(annealed_log_likelihoods(small_vae()[0], small_data(), small_data().test, **settings))


def test_an_autoencoder_is_refused():
    with pytest.raises(InputError, match="expected a posterior that is a density"):
        next(annealed_log_likelihoods(small_vae(posterior="delta")[0], small_data(), small_data().test))


def test_the_command_prints_and_saves_both_estimates(tmp_path, capsys):
    out = str(tmp_path / "run")
    with pytest.raises(SystemExit):
        main(["train", "--epochs", "1", "--hidden", "8", "--pixels", "threshold", "--out", out])
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", out, "--samples", "50", "--images", "30", "--ais", "--ais-steps", "4"])
    assert not stopped.value.code
    printed = capsys.readouterr().out
    assert "on the first 30: annealed -" in printed
    saved = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    simulated, comparison = saved["simulated"], saved["annealed"]
    assert simulated["images"] == 30
    assert simulated["gap"] == pytest.approx(simulated["upper_bound"] - simulated["lower_bound"], abs=1e-9)
    assert f"on 30 drawn from the model: annealed {simulated['lower_bound']:.2f}, upper bound" in printed
    assert comparison["images"] == 30
    assert comparison["difference"] == pytest.approx(
        comparison["log_likelihood"] - comparison["importance_sampled"], abs=1e-9
    )

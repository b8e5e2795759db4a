"""Likelihoods with a location and a scale: which scales are learned, and which scale is the optimal one."""

import pytest
import torch
from support.builders import small_data, small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae import InputError, fit

CASES = [(name, scale) for name in ("gaussian", "laplace", "student_t") for scale in ("shared", "pixel", 0.3)]
CASES += [("gaussian", "optimal")]


def test_the_optimal_scale_is_the_root_mean_squared_error_in_training_and_its_running_mean_after():
    likelihood = LIKELIHOODS["gaussian"](scale="optimal").train()
    h, x = torch.zeros(4, 1, 1, 8, 8), 0.2 * torch.randn(4, 1, 8, 8)
    rms = x.square().mean().sqrt()
    by_hand = torch.distributions.Normal(0.0, rms).log_prob(x).sum()
    assert likelihood(h).log_prob(x).sum().item() == pytest.approx(by_hand.item(), rel=1e-5)
    for _ in range(200):
        likelihood(h).log_prob(x)
    scored = likelihood.eval()(h).log_prob(x).sum()
    assert scored.item() == pytest.approx(by_hand.item(), rel=1e-4)
    for factor in (0.9, 1.1):
        assert torch.distributions.Normal(0.0, factor * rms).log_prob(x).sum() < by_hand


@pytest.mark.parametrize("name", ["laplace", "student_t"])
def test_only_the_gaussian_has_an_optimal_scale(name):
    with pytest.raises(InputError, match="scale: 'optimal' fits likelihood gaussian"):
        small_vae(likelihood=name, scale="optimal")


@pytest.mark.parametrize(("name", "scale"), CASES)
@pytest.mark.parametrize("pixels", ["grey", "standardized"])
@pytest.mark.parametrize("condition", ["none", "quadrant1"])
def test_every_scale_trains_and_is_learned_unless_fixed(name, scale, pixels, condition):
    vae, config = small_vae(likelihood=name, scale=scale, pixels=pixels, condition=condition)
    likelihood = getattr(vae.likelihood, "likelihood", vae.likelihood)
    before = None if scale == "pixel" else likelihood.log_scale.clone()
    *_, last = fit(vae, small_data(pixels=pixels), config)
    assert torch.tensor(last["test"]["loss"]).isfinite()
    if before is not None:
        assert torch.equal(likelihood.log_scale, before) is isinstance(scale, float)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "student_t"])
@pytest.mark.parametrize("feature", [-50.0, 0.0, 30.0, 100.0, 1000.0])
def test_any_scale_that_a_network_may_say_has_a_score_and_a_gradient_that_leads_back(name, feature):
    likelihood = LIKELIHOODS[name]("pixel", "grey")
    h = torch.zeros(1, 2, 1, 2, 2)
    h[:, 1] = feature
    h.requires_grad_()
    score = likelihood(h).log_prob(torch.full((1, 1, 2, 2), 0.3))
    score.sum().backward()
    assert score.isfinite().all()
    assert h.grad.isfinite().all()
    if feature >= 30:
        torch.testing.assert_close(h.grad[:, 1], torch.full((1, 1, 2, 2), -1.0))  # of −log σ

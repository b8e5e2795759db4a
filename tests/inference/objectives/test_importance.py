"""Bounds of several weighted samples, against their formulas and against each other."""

import math

import pytest
import torch
from support.builders import small_vae
from support.linear import Linear, gradients, make, value
from torch import nn

from pyrovae.evaluation.importance import log_weights
from pyrovae.inference.objectives import KLWeight
from pyrovae.inference.objectives.importance import Renyi

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.parametrize(
    ("name", "settings"), [("iwae", {}), ("dreg", {}), ("renyi", {"alpha": 0.0}), ("renyi", {"alpha": 0.3})]
)
@pytest.mark.parametrize("particles", [1, 5])
def test_bounds_are_formed_per_image_and_then_summed(name, settings, particles):
    program, x = Linear(), torch.randn(4, 3)
    torch.manual_seed(0)
    log_w = log_weights(program.model, program.guide, particles, x)
    order = 1 - settings.get("alpha", 0.0)
    by_hand = -((torch.logsumexp(order * log_w, 0) - math.log(particles)) / order).sum()
    assert value(make(name, particles, **settings), program, x).item() == pytest.approx(by_hand.item())


def test_renyi_approaches_the_elbo_and_refuses_alpha_1():
    program, x = Linear(), torch.randn(4, 3)
    near = value(make("renyi", 5, alpha=1 - 1e-6), program, x)
    assert near.item() == pytest.approx(value(make("elbo", 5), program, x).item(), rel=1e-4)
    with pytest.raises(ValueError, match="expected another number than 1"):
        make("renyi", alpha=1.0)


class Weighted(nn.Module):
    """A program with a weight on its KL term."""

    def __init__(self, program, beta):
        super().__init__()
        self.program, weight = program, KLWeight(beta)
        self.model, self.guide = weight(program.model), weight(program.guide)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 2.0])
def test_gradients_of_dreg_and_iwae_agree_in_expectation_at_every_kl_weight(beta):
    program, x = Linear(), torch.randn(3, 3)
    weighted = Weighted(program, beta)
    iwae, dreg = (gradients(make(name, 8), weighted, x, repeats=1500) for name in ("iwae", "dreg"))
    error = (iwae.var(0) / 1500 + dreg.var(0) / 1500).sqrt()
    assert ((iwae.mean(0) - dreg.mean(0)).abs() < 4 * error + 1e-9).all()
    assert torch.allclose(iwae[:, :3], dreg[:, :3])  # the model's gradient is the same, draw by draw
    if beta == 1:
        assert (dreg.var(0)[3:] < 0.7 * iwae.var(0)[3:]).all()


def test_gradients_of_dreg_and_iwae_agree_for_a_flow():
    torch.manual_seed(0)
    vae, _ = small_vae(posterior="flow", hidden=(6,))
    vae = vae.double()
    x = torch.rand(3, 1, 8, 8)
    iwae, dreg = (gradients(make(name, 8), vae, x, repeats=600) for name in ("iwae", "dreg"))
    error = (iwae.var(0) / 600 + dreg.var(0) / 600).sqrt()
    deviation = (iwae.mean(0) - dreg.mean(0)) / (error + 1e-12)
    assert deviation.square().mean() < 3  # about 1 if they agree


@pytest.mark.parametrize("order", [0.3, 0.05, 1e-3, 1e-6, -1e-6, -0.05, -0.3])
def test_renyis_bound_is_right_next_to_the_elbo(order):
    """In float32, at weights of many nats, the bound is that of float64, and next to α = 1 it is the mean of log w."""
    log_w = 30 * torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) - 100
    objective = Renyi(alpha=1 - order)
    order = 1 - objective.alpha
    exact = log_w.double().requires_grad_()
    expected = -((order * exact).logsumexp(0) - math.log(50)).sum() / order
    single = log_w.clone().requires_grad_()
    loss = objective.loss_of(single, None, None)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    (gradient,), (right,) = torch.autograd.grad(loss, single), torch.autograd.grad(expected, exact)
    torch.testing.assert_close(gradient.double(), right, rtol=1e-3, atol=1e-6)
    if abs(order) < 1e-5:
        assert loss.item() == pytest.approx(-log_w.mean(0).sum().item(), rel=1e-3)

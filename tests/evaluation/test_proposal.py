"""The mixture of guide, wider guide and prior, against exact likelihoods and densities written out."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints
from torch.distributions.transforms import AffineTransform, ExpTransform

from pyrovae.evaluation.importance import log_weights
from pyrovae.evaluation.proposal import center_of, defensive_log_weights

SAMPLES = 5000


def estimate_and_error(log_w):
    """Return log (1/K) Σ w for each image, and its standard error by the delta method."""
    w = (log_w - log_w.amax(0)).exp()
    return log_w.logsumexp(0) - math.log(len(log_w)), w.std(0) / w.mean(0) / math.sqrt(len(w))


@pytest.mark.parametrize(("stretch", "shift"), [(1.0, 0.0), (1.5, 0.0), (0.7, 0.3)])
def test_the_estimate_is_exact_within_its_errors_and_the_elbo_is_that_of_the_guide(linear_gaussian, stretch, shift):
    model, guide_of, x, exact = linear_gaussian
    log_w, of_guide = defensive_log_weights(model, guide_of(stretch, shift), SAMPLES, x)
    assert log_w.shape == (SAMPLES, 40)
    assert of_guide.shape == (4250, 40)
    estimate, error = estimate_and_error(log_w)
    assert ((estimate - exact).abs() < 4 * error).all()
    assert (estimate - exact).mean().abs() < 3 * error.square().mean().sqrt() / math.sqrt(40)
    if stretch == 1 and shift == 0:
        torch.testing.assert_close(of_guide, exact.expand(4250, -1), rtol=0, atol=1e-6)


def two_modes(x):
    """Draw x = z² + noise: the posterior has a mode on each side of 0."""
    with pyro.plate("images", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z.square(), 0.1).to_event(1), obs=x)


def one_mode(x):
    with pyro.plate("images", len(x)):
        pyro.sample("z", dist.Normal(x.sqrt(), 0.05 / x.sqrt()).to_event(1))


def test_a_mode_that_the_guide_does_not_know_is_found():
    x = torch.tensor([[0.5], [1.0], [2.0], [3.0]], dtype=torch.float64)
    z = torch.linspace(-8, 8, 200_001, dtype=torch.float64)[:, None]
    joint = dist.Normal(0.0, 1.0).log_prob(z) + dist.Normal(z.square(), 0.1).log_prob(x[:, 0])
    exact = joint.logsumexp(0) + math.log(16 / 200_000)
    missed, _ = estimate_and_error(log_weights(two_modes, one_mode, SAMPLES, x))
    torch.testing.assert_close(missed, exact - math.log(2), rtol=0, atol=0.01)
    estimate, error = estimate_and_error(defensive_log_weights(two_modes, one_mode, SAMPLES, x)[0])
    assert ((estimate - exact).abs() < 3 * error).all()
    assert (error < 0.4).all()  # where the other mode has half of the mass


def latents_of(model, name="z"):
    """Return a model that keeps what its site `name` has last been."""

    def kept(*args):
        with pyro.poutine.trace() as trace:
            model(*args)
        kept.z = trace.trace.nodes[name]["value"]

    return kept


def test_a_weight_has_the_whole_mixture_below_it():
    x = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    model = latents_of(two_modes)
    log_w, of_guide = defensive_log_weights(model, one_mode, 40, x)
    z = model.z
    narrow, wide = dist.Normal(x.sqrt(), 0.05 / x.sqrt()), dist.Normal(x.sqrt(), 0.1 / x.sqrt())
    prior = dist.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    r = 34 / 40 * narrow.log_prob(z).exp() + 4 / 40 * wide.log_prob(z).exp() + 2 / 40 * prior.log_prob(z).exp()
    joint = (prior.log_prob(z) + dist.Normal(z.square(), 0.1).log_prob(x))[..., 0]
    torch.testing.assert_close(log_w, joint - r[..., 0].log(), check_dtype=False, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        of_guide, (joint - narrow.log_prob(z)[..., 0])[:34], check_dtype=False, rtol=1e-5, atol=1e-5
    )


def test_few_samples_are_all_of_the_guide():
    x = torch.tensor([[0.5], [2.0]])
    log_w, of_guide = defensive_log_weights(two_modes, one_mode, 19, x)
    assert torch.equal(log_w, of_guide)


def chain(x):
    """Draw y log-normal, z | y normal and x = z + noise: two latents, of which one is positive."""
    with pyro.plate("images", len(x)):
        y = pyro.sample("y", dist.LogNormal(0.0, 0.5))
        z = pyro.sample("z", dist.Normal(0.0, y))
        pyro.sample("x", dist.Normal(z, 0.3), obs=x)


def chain_guide(x):
    with pyro.plate("images", len(x)):
        z = pyro.sample("z", dist.Normal(0.9 * x, 0.4))
        pyro.sample("y", dist.LogNormal(0.2 * z.abs(), 0.6))


def gamma_guide(x):
    with pyro.plate("images", len(x)):
        z = pyro.sample("z", dist.Normal(0.9 * x, 0.4))
        pyro.sample("y", dist.Gamma(4.0, 3.0 / (1 + 0.2 * z.abs())))


@pytest.mark.parametrize("guide", [chain_guide, gamma_guide])
def test_several_latents_are_drawn_together_and_positive_ones_stay_positive(guide):
    x = torch.tensor([-2.0, 0.1, 1.0], dtype=torch.float64)
    y = torch.linspace(-4, 4, 20_001, dtype=torch.float64).mul(0.5)[:, None].exp()
    log_density = dist.Normal(0.0, (y.square() + 0.09).sqrt()).log_prob(x) + dist.LogNormal(0.0, 0.5).log_prob(y)
    exact = torch.trapezoid(log_density.exp(), y, dim=0).log()
    estimate, error = estimate_and_error(defensive_log_weights(chain, guide, 20_000, x)[0])
    assert ((estimate - exact).abs() < 3 * error + 1e-4).all()  # the grid leaves 6e-5 of the prior out


def test_rows_that_a_guide_masks_count_nothing():
    x = torch.tensor([[0.5], [1.0]])
    seen = torch.tensor([True, False])

    def model(x):
        with pyro.plate("images", len(x)), pyro.poutine.mask(mask=seen):
            z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 0.5).to_event(1), obs=x)

    def guide(x):
        with pyro.plate("images", len(x)), pyro.poutine.mask(mask=seen):
            pyro.sample("z", dist.Normal(0.7 * x, 0.6).to_event(1))

    estimate, error = estimate_and_error(defensive_log_weights(model, guide, 20_000, x)[0])
    assert abs(estimate[0] - dist.Normal(0.0, math.sqrt(1.25)).log_prob(x[0, 0])) < 3 * error[0]
    assert estimate[1] == pytest.approx(0, abs=1e-5)


class Shear(dist.transforms.Transform):
    """(a, b) → (a, b + a²): a flow, whose inverse must not be asked for."""

    domain, codomain, bijective = constraints.real_vector, constraints.real_vector, True

    def _call(self, e):
        return torch.stack([e[..., 0], e[..., 1] + e[..., 0].square()], -1)

    def _inverse(self, z):
        raise AssertionError("the inverse of a flow")

    def log_abs_det_jacobian(self, e, z):
        return e.new_zeros(e.shape[:-1])


def test_a_flow_of_the_guide_is_not_inverted():
    def model(x):
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z.sum(-1), 0.5), obs=x)

    def guide(x):
        with pyro.plate("images", len(x)):
            base = dist.Normal(0.3 * x[:, None].expand(-1, 2), 0.8).to_event(1)
            pyro.sample("z", dist.TransformedDistribution(base, [Shear(cache_size=1)]))

    x = torch.tensor([-1.0, 0.5])
    exact = dist.Normal(0.0, math.sqrt(2.25)).log_prob(x)
    log_w, of_guide = defensive_log_weights(model, guide, 20_000, x)
    assert len(of_guide) == 18_000
    estimate, error = estimate_and_error(log_w)
    assert ((estimate - exact).abs() < 3 * error).all()


@pytest.mark.parametrize(
    ("distribution", "has_one"),
    [
        (dist.Normal(torch.zeros(3), 1.0).to_event(1), True),
        (dist.MultivariateNormal(torch.zeros(2), torch.eye(2)), True),
        (dist.Laplace(torch.zeros(()), 1.0), True),
        (dist.Gamma(torch.ones(()), 1.0), False),
        (dist.Normal(torch.zeros(3), 1.0).mask(torch.tensor([True, False, True])).to_event(1), False),
        (dist.TransformedDistribution(dist.Normal(torch.zeros(()), 1.0), [ExpTransform()]), False),
        (dist.TransformedDistribution(dist.Normal(torch.zeros(()), 1.0), [AffineTransform(0.0, 2.0)]), False),
    ],
)
def test_only_what_may_be_any_real_number_and_counts_is_stretched(distribution, has_one):
    assert (center_of(distribution) is not None) is has_one

"""Every likelihood is a density or a mass function over the pixels it declares."""

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import InputError, fit
from pyrovae.parts.likelihoods import LIKELIHOODS

CASES = [
    (name, scale)
    for name in LIKELIHOODS
    for scale in ("shared", "pixel", 0.3)
    if name in ("gaussian", "laplace", "student_t")
]
CASES += [(name, "shared") for name in LIKELIHOODS if name not in ("gaussian", "laplace", "student_t")]
CASES += [("gaussian", "optimal")]


def features_to_pixels(name, scale="shared", shape=(1, 2, 2), n=1):
    """A likelihood and what it says of random features, in float64."""
    torch.manual_seed(0)
    takes_scale = name in ("gaussian", "laplace", "student_t")
    likelihood = (LIKELIHOODS[name](scale=scale) if takes_scale else LIKELIHOODS[name]()).double().eval()
    return likelihood, likelihood(torch.randn(n, likelihood.features, *shape, dtype=torch.float64))


def support_of(likelihood):
    """A grid of pixel values, and the weight of each in the integral or sum over all of them."""
    if "bytes" in likelihood.domain:
        grid = torch.arange(0, 256 if likelihood.support_ends else 20_000, dtype=torch.float64)
        return grid, torch.ones_like(grid)
    if "static" in likelihood.domain:
        return torch.tensor([0.0, 1.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    if type(likelihood).__name__ == "Beta":  # infinite at its ends: a grid that is ever finer towards them
        t = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
        b = torch.sigmoid(t)
        return (256 * b - 0.5) / 255, 256 / 255 * b * torch.sigmoid(-t) * 80 / 400_000
    low, high = (-2000, 2000) if "standardized" in likelihood.domain else (0.0, 1.0)
    edges = torch.linspace(low, high, 4_000_001, dtype=torch.float64)
    middles = (edges[1:] + edges[:-1]) / 2
    return middles, torch.full_like(middles, (high - low) / 4_000_000)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_it_sums_to_one_over_its_domain(name, scale):
    likelihood, _ = features_to_pixels(name, scale, shape=(1, 1, 1))
    likelihood.support_ends = name not in ("poisson", "negative_binomial")
    grid, weight = support_of(likelihood)
    h = torch.randn(1, likelihood.features, 1, 1, 1, dtype=torch.float64).abs()
    mass = likelihood(h).log_prob(grid.view(-1, 1, 1, 1)).exp() @ weight
    assert mass.item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_samples_lie_in_the_support_and_average_to_the_mean(name, scale):
    likelihood, pixels = features_to_pixels(name, scale)
    samples = pixels.sample((20_000,)).double()
    assert pixels.log_prob(samples).isfinite().all()
    if "bytes" in likelihood.domain:
        assert (samples == samples.round()).all()
        assert samples.min() >= 0
    error = (samples.mean(0) - pixels.mean).abs()
    assert (error < 6 * samples.std(0) / 20_000**0.5 + 1e-9).all()


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_every_event_is_an_image(name, scale):
    likelihood, _ = features_to_pixels(name, scale)
    pixels = likelihood(torch.randn(5, 3, likelihood.features, 3, 4, 2, dtype=torch.float64))
    assert pixels.batch_shape == (5, 3)
    assert pixels.event_shape == (3, 4, 2)
    assert pixels.log_prob(pixels.sample()).shape == (5, 3)
    assert pixels.mean.shape == (5, 3, 3, 4, 2)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_extreme_pixels_have_finite_scores_and_gradients(name):
    """Black and white images, in float32, with a decoder far from them."""
    protocol = LIKELIHOODS[name].domain[0]
    vae, _ = small_vae(likelihood=name, pixels=protocol)
    white = 255.0 if protocol == "bytes" else 1.0
    for shift in (-8.0, 8.0):
        h = (torch.randn(2, vae.likelihood.features, 1, 8, 8) + shift).requires_grad_()
        for x in (torch.zeros(1, 8, 8), torch.full((1, 8, 8), white)):
            score = vae.likelihood(h).log_prob(x).sum()
            (gradient,) = torch.autograd.grad(score, h)
            assert score.isfinite()
            assert gradient.isfinite().all()


def test_the_optimal_scale_is_the_root_mean_square_error_in_training_and_its_mean_after():
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


def test_rounded_logistic_is_the_integral_of_the_logistic_density():
    from pyrovae.parts.likelihoods.discretized_logistic import RoundedLogistic

    rounded = RoundedLogistic(torch.tensor(100.3, dtype=torch.float64), torch.tensor(7.0, dtype=torch.float64))
    grid = torch.linspace(119.5, 120.5, 100_001, dtype=torch.float64)
    u = (grid - 100.3) / 7
    density = u.neg().exp() / (7 * (1 + u.neg().exp()).square())
    mass = torch.trapezoid(density, grid)
    assert rounded.log_prob(torch.tensor(120.0)).exp().item() == pytest.approx(mass.item(), rel=1e-6)


def colour_of(shape=(3, 1, 1), log_scale=0.0, link=0.0):
    torch.manual_seed(1)
    likelihood = LIKELIHOODS["discretized_logistic_mixture"](shape=shape)
    h = torch.randn(likelihood.features, *shape, dtype=torch.float64)
    h[20:30] += log_scale
    h[30:40] += link
    return likelihood(h)


def test_a_colours_channels_sum_to_one_together():
    """Over all 65,536 values of two channels, and over the third given two values of these."""
    pixel = colour_of(shape=(2, 1, 1))
    values = torch.cartesian_prod(*[torch.arange(256, dtype=torch.float64)] * 2).view(-1, 2, 1, 1)
    assert pixel.log_prob(values).exp().sum().item() == pytest.approx(1, abs=1e-9)
    pixel = colour_of()
    values = torch.tensor([100.0, 7.0, 0.0]).view(3, 1, 1).expand(256, 3, 1, 1).double().clone()
    values[:, 2, 0, 0] = torch.arange(256)
    conditional = pixel.base_dist.log_prob(values)[:, 2]
    assert conditional.exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_a_colours_draws_are_those_it_scores():
    """Frequencies of coarse colours against the sums of all 65,536 probabilities."""
    pixel = colour_of(shape=(2, 1, 1), log_scale=-1.0, link=2.0)
    samples = pixel.sample((100_000,))[..., 0, 0]
    assert samples.T.corrcoef()[0, 1] > 0.3  # the link is felt
    values = torch.cartesian_prod(*[torch.arange(256, dtype=torch.float64)] * 2)
    mass = pixel.log_prob(values.view(-1, 2, 1, 1)).exp()
    cells = [(x // 32).long() @ torch.tensor([8, 1]) for x in (samples, values)]
    seen = torch.bincount(cells[0], minlength=64) / len(samples)
    expected = torch.zeros(64, dtype=torch.float64).index_add(0, cells[1], mass)
    torch.testing.assert_close(seen.double(), expected, rtol=0, atol=0.006)


def test_a_grey_mixture_is_one_of_rounded_logistics():
    from pyrovae.parts.likelihoods.discretized_logistic import RoundedLogistic, _loc_scale

    likelihood = LIKELIHOODS["discretized_logistic_mixture"]()
    h = torch.randn(30, 1, 2, 2)
    logits, loc, log_scale = h.movedim(0, -1).chunk(3, -1)
    parts = RoundedLogistic(*_loc_scale(loc, log_scale))
    by_torch = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=logits), parts)
    x = torch.randint(0, 256, (5, 1, 2, 2)).float()
    torch.testing.assert_close(likelihood(h).log_prob(x), by_torch.log_prob(x).sum((-3, -2, -1)))


def test_more_than_three_channels_are_refused():
    with pytest.raises(ValueError, match="expected 3 channels or fewer, got 4"):
        LIKELIHOODS["discretized_logistic_mixture"](shape=(4, 8, 8))


@pytest.mark.parametrize("name", ["laplace", "student_t"])
def test_only_the_gaussian_has_an_optimal_scale(name):
    with pytest.raises(InputError, match="scale: 'optimal' fits likelihood gaussian"):
        small_vae(likelihood=name, scale="optimal")


@pytest.mark.parametrize(("name", "scale"), [case for case in CASES if case[0] in ("gaussian", "laplace", "student_t")])
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


def test_the_optimal_scale_counts_only_the_pixels_that_are_scored():
    vae, _ = small_vae(likelihood="gaussian", scale="optimal", condition="quadrant1")
    mask = ~vae.context.seen
    h, x = torch.zeros(4, 1, 1, 8, 8, requires_grad=True), torch.where(mask, 0.1, 1.0) * torch.randn(4, 1, 8, 8)
    score = vae.likelihood.train()(h).log_prob(x).sum()
    (gradient,) = torch.autograd.grad(score, h)
    rms = x[:, mask].square().mean().sqrt()
    assert score.item() == pytest.approx(
        torch.distributions.Normal(0.0, rms).log_prob(x[:, mask]).sum().item(), rel=1e-4
    )
    assert (gradient[:, 0][:, ~mask] == 0).all()


@pytest.mark.parametrize("logit", [-300.0, -30.0, -5.0, -0.11, -0.09, 1e-5, 0.0, 1.0, 100.0])
def test_a_continuous_bernoulli_of_any_logit_is_a_density_with_that_mean_and_those_draws(logit):
    pixels = LIKELIHOODS["continuous_bernoulli"]()(torch.full((1, 1, 1, 1, 1), logit))
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    density = pixels.log_prob(x.float().view(-1, 1, 1, 1)).double().exp()
    mean = torch.trapezoid(x * density, x)
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-4)
    assert pixels.mean.item() == pytest.approx(mean.item(), abs=1e-5)
    variance = torch.trapezoid((x - mean) ** 2 * density, x).item()
    assert pixels.variance.item() == pytest.approx(variance, abs=2e-5)
    draws = pixels.sample((100_000,)).double()
    assert draws.mean().item() == pytest.approx(mean.item(), abs=5 * (variance / 100_000) ** 0.5)
    assert draws.var().item() == pytest.approx(variance, rel=0.05)

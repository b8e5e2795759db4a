"""Every likelihood is a density or a mass function over the pixels it declares."""

import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO
from support.builders import small_data, small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae import SVI
from pyrovae.config.values import IMAGES
from pyrovae.inference.objectives import TraceELBO

WITH_SCALE = ("gaussian", "laplace", "student_t")
CASES = [(name, scale) for name in WITH_SCALE for scale in ("shared", "pixel", 0.3)]
CASES += [(name, "shared") for name in LIKELIHOODS if name not in WITH_SCALE]
CASES += [("gaussian", "optimal")]


def features_to_pixels(name, scale="shared", shape=(1, 2, 2), n=1):
    """Make a likelihood, and its distribution for random features, in float64."""
    torch.manual_seed(0)
    settings = {"scale": scale} if name in WITH_SCALE else {}
    likelihood = LIKELIHOODS[name](**settings).double().eval()
    return likelihood, likelihood(torch.randn(n, likelihood.features, *shape, dtype=torch.float64))


def support_of(likelihood):
    """Return a grid of pixel values, and the weight of each in the integral or sum over all of them."""
    if "bytes" in likelihood.domain:
        grid = torch.arange(0, 256 if likelihood.support_ends else 20_000, dtype=torch.float64)
        return grid, torch.ones_like(grid)
    if "static" in likelihood.domain:
        return torch.tensor([0.0, 1.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    if type(likelihood).__name__ == "Beta":  # infinite at the ends, so the grid gets ever finer towards them
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
    """Score black and white images in float32, with features that predict other pixels."""
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


PROTOCOLS = [
    (name, pixels)
    for name, kind in LIKELIHOODS.items()
    for pixels in (*kind.domain, *getattr(kind, "relaxed", ()))
    if pixels in IMAGES
]


@pytest.mark.parametrize(("name", "pixels"), PROTOCOLS)
def test_pixels_outside_its_support_are_refused_at_the_first_step(name, pixels):
    vae, _ = small_vae(likelihood=name, pixels=pixels)
    data = small_data(pixels=pixels)
    x = data.batch(data.train, slice(0, 4)).x
    svi = SVI(vae.model, vae.guide, torch.optim.Adam(vae.parameters()), TraceELBO())
    svi.step(x)
    wrong = [] if name in WITH_SCALE else [(x - 0.1307) / 0.3081, 255 * x + 0.5]  # those score all numbers
    wrong += [torch.rand_like(x)] if pixels in ("static", "threshold", "dynamic") else []
    for images in wrong:
        svi.validate = True
        with pytest.raises(ValueError, match=r"(?s)site 'x'.*to be within the support"):
            svi.step(images)
        with pyro.validation_enabled(True), pytest.raises(ValueError, match="to be within the support"):
            Trace_ELBO().loss(vae.model, vae.guide, images)
    with pytest.raises(ValueError, match="to be within the support"):
        vae.likelihood(vae.decoder(torch.zeros(4, 2))).log_prob(torch.full_like(x, torch.nan))


def test_colours_outside_the_support_of_linked_channels_are_refused():
    vae, _ = small_vae(shape=(3, 8, 8), likelihood="discretized_logistic_mixture", pixels="bytes")
    h, x = vae.decoder(torch.zeros(1, 2)), torch.full((1, 3, 8, 8), 7.0)
    vae.likelihood(h).log_prob(x)
    x[0, 2, 3, 3] = 255.5
    with pytest.raises(ValueError, match="to be within the support"):
        vae.likelihood(h).log_prob(x)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_later_steps_are_not_checked(name):
    """A check reads a value from the device, which then has to wait."""
    with pyro.validation_enabled(False):
        _, distribution = features_to_pixels(name)
        distribution.expand((1,)).log_prob(torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64))

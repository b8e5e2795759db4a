"""The noise of gradients, where it is known or can be computed in two passes."""

import pytest
import torch
from support.linear import Linear, gradients, make

from pyrovae import InputError
from pyrovae.inference.gradient_noise import gradient_noise

pytestmark = pytest.mark.usefixtures("double")


def noise(name, program, x, particles=1, draws=200):
    torch.manual_seed(0)
    groups = {"guide": [program.slope, program.log_scale], "model": [program.w]}
    return gradient_noise(make(name, particles), program.model, program.guide, groups, draws, x)


def test_noise_equals_that_of_two_passes():
    program, x = Linear(), torch.randn(3, 3)
    in_one_pass = noise("elbo", program, x, draws=2000)
    drawn = gradients(make("elbo"), program, x, repeats=2000)
    for name, part in (("model", drawn[:, :3]), ("guide", drawn[:, 3:])):
        mean, variance = part.mean(0), part.var(0)
        assert in_one_pass[name]["variance"] == pytest.approx(variance.sum().item(), rel=0.15)
        assert in_one_pass[name]["squared_mean"] == pytest.approx(mean.square().sum().item(), rel=0.15)
        assert in_one_pass[name]["snr"] == pytest.approx((mean.abs() / variance.sqrt()).mean().item(), rel=0.15)


def test_sticking_the_landing_has_no_noise_if_the_guide_is_the_posterior():
    program, x = Linear(exact=True), torch.randn(3, 3)
    assert noise("stl", program, x)["guide"]["variance"] < 1e-20
    assert noise("elbo", program, x)["guide"]["variance"] > 0.1


def test_more_particles_lower_the_guides_snr_of_iwae_and_raise_that_of_dreg():
    program, x = Linear(), torch.randn(3, 3)
    few, many = (
        {name: noise(name, program, x, particles, draws=1000)["guide"] for name in ("iwae", "dreg")}
        for particles in (2, 128)
    )
    assert many["iwae"]["snr"] < 0.7 * few["iwae"]["snr"]
    assert many["dreg"]["snr"] > 1.3 * few["dreg"]["snr"]
    assert many["dreg"]["variance"] < many["iwae"]["variance"]


def test_a_single_draw_is_refused():
    with pytest.raises(InputError, match="draws: expected 2 or more, got 1"):
        noise("elbo", Linear(), torch.randn(3, 3), draws=1)


class Deciding(Linear):
    """The same program, which looks at a value on its way, and so is no fixed graph."""

    def guide(self, x):
        assert x.sum().item() != 0
        super().guide(x)


def test_a_program_that_is_no_fixed_graph_is_measured_too():
    x = torch.randn(3, 3)
    torch.manual_seed(1)
    expected = noise("elbo", Linear(), x)
    assert noise("elbo", Deciding(), x) == {name: pytest.approx(group) for name, group in expected.items()}

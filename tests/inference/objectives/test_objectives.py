"""What all objectives have in common."""

import math

import pytest
import torch
from support.builders import small_data, small_vae
from support.linear import Linear, make, value

from pyrovae import InputError, fit
from pyrovae.inference.objectives import OBJECTIVES, KLWeight


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in ("analytic", "mmd")])
def test_with_one_particle_an_objective_is_the_elbo(name):
    program, x = Linear(), torch.randn(4, 3)
    assert value(make(name), program, x).item() == pytest.approx(value(make("elbo"), program, x).item())


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["elbo", "analytic", "stl"])
@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_estimators_of_the_elbo_agree_in_expectation(name, beta):
    program, x = Linear(), torch.randn(3, 3)
    weight = KLWeight(beta)
    objective, many = make(name, 4000), make("elbo", 4000)

    def gradient(estimator):
        torch.manual_seed(0)
        loss = estimator.differentiable_loss(weight(program.model), weight(program.guide), x)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(program.parameters()))])

    torch.testing.assert_close(gradient(objective), gradient(many), rtol=0.05, atol=0.25)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_every_objective_trains_every_kind_of_guide(objective, posterior, network):
    vae, config = small_vae(objective=objective, posterior=posterior, network=network, particles=3, beta=0.5, epochs=1)
    before = {name: p.clone() for name, p in vae.named_parameters()}
    (record,) = fit(vae, small_data(pixels=config.pixels), config)
    assert math.isfinite(record["train"]["objective"])
    assert record["train"]["loss"] == pytest.approx(record["train"]["reconstruction"] + record["train"]["kl"])
    assert not [name for name, p in vae.named_parameters() if torch.equal(p, before[name])]


def test_a_setting_that_an_objective_refuses_is_an_input_error():
    vae, config = small_vae(objective="renyi", alpha=1.0, particles=2)
    with pytest.raises(InputError, match="alpha: expected another number than 1"):
        fit(vae, small_data(pixels=config.pixels), config)


@pytest.mark.parametrize("objective", ["iwae", "renyi", "dreg"])
def test_objectives_that_weigh_particles_refuse_a_single_one(objective):
    vae, config = small_vae(objective=objective)
    with pytest.raises(InputError, match="expects 2 or more"):
        fit(vae, small_data(pixels=config.pixels), config)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_gets_the_settings_it_asks_for(name):
    vae, config = small_vae(objective=name, particles=3, alpha=0.3, free_bits=0.2)
    objective = fit(vae, small_data(pixels=config.pixels), config).svi.loss
    assert (objective.num_particles, objective.vectorize_particles, objective.max_plate_nesting) == (3, True, 2)
    assert objective.free_bits == 0.2
    assert getattr(objective, "alpha", 0.3) == 0.3

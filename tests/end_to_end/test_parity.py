"""Compiled steps in float64, against Pyro's own estimators at the same random numbers: every member of every family."""

from itertools import chain, cycle, repeat

import pyro
import pytest
import torch
from pyro.infer import RenyiELBO, Trace_ELBO, TraceMeanField_ELBO
from support.builders import small_data, small_vae

from pyrovae import fit
from pyrovae.inference import seeded
from pyrovae.inference.compiled import capture
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS

# As few as hold every likelihood, prior, posterior, network, flow, scale and condition.
MEMBERS = [
    {"likelihood": likelihood, "prior": prior, "posterior": posterior, "network": network}
    for likelihood, prior, posterior, network in zip(
        LIKELIHOODS,
        cycle(prior for prior in PRIORS if prior != "conditional"),
        cycle(posterior for posterior in POSTERIORS if posterior != "delta"),
        chain(reversed(NETWORKS), repeat("mlp")),  # so that the largest network meets no flow, which compiles long
    )
] + [
    {"likelihood": "gaussian", "scale": "pixel", "prior": "conditional", "condition": "label"},
    {"likelihood": "gaussian", "scale": "optimal", "prior": "conditional", "condition": "quadrant2"},
    {"likelihood": "student_t", "scale": 0.5, "posterior": "delta"},
    {"prior": "flow", "flow": "coupling", "beta": 0.5},
]


@pytest.fixture
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def fitting(likelihood="bernoulli", **settings):
    # Not dynamic pixels: of float64 probabilities Inductor draws by other random numbers than torch.
    pixels = next(pixels for pixels in LIKELIHOODS[likelihood].domain if pixels != "dynamic")
    settled = {"pixels": pixels, "hidden": (5,), "latent_dim": 3, "components": 4, "likelihood": likelihood}
    vae, config = small_vae(**settled | settings)
    made = fit(vae, small_data(pixels=config.pixels), config)
    vae.train()
    return made


def at(rows, step):
    """Loss and gradients with the random numbers of a seed, and no statistic of a batch moved."""
    with seeded(7):
        return step(rows)


def by_pyro(made, estimator, rows):
    """The same by an estimator of Pyro, on model and guide as they are."""
    parameters = made.svi.update.parameters
    with pyro.settings.context(module_local_params=True), pyro.validation_enabled(False):
        loss = estimator.differentiable_loss(made.svi.model, made.svi.guide, *made.svi.prepare(rows))
    return loss.detach(), *torch.autograd.grad(loss, parameters, allow_unused=True)


def compare(found, expected, atol=1e-9):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=atol)


@pytest.mark.parametrize("members", MEMBERS, ids=lambda members: "-".join(map(str, members.values())))
def test_every_member_is_compiled_to_pyros_trace_elbo(members, in_float64):
    made, rows = fitting(**members), torch.arange(6)
    at(rows, made.svi.evaluate_loss)  # validated: the steps after it are not
    compiled = capture(made.svi.gradients, rows)
    state = {name: tensor.clone() for name, tensor in made.vae.state_dict().items()}
    expected = at(rows, lambda rows: by_pyro(made, Trace_ELBO(max_plate_nesting=1), rows))
    made.vae.load_state_dict(state)
    found = at(rows, compiled)
    assert found[0].dtype == torch.float64
    compare(found, expected)


PYROS = {
    "elbo": Trace_ELBO,
    "analytic": TraceMeanField_ELBO,
    "renyi": lambda **settings: RenyiELBO(alpha=0.5, **settings),
    "iwae": lambda **settings: RenyiELBO(alpha=0, **settings),
}


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_is_compiled_to_what_it_is(objective, particles, in_float64):
    """To the eager step; and of one image, as Pyro bounds a batch and not its images, to Pyro's own where it has it."""
    if particles == 1 and getattr(OBJECTIVES[objective], "weighs_particles", False):
        pytest.skip("with one particle it is the elbo")
    made, rows = fitting(objective=objective, particles=particles, free_bits=0.0), torch.arange(1)
    at(rows, made.svi.evaluate_loss)
    compiled = capture(made.svi.gradients, rows)
    found = at(rows, compiled)
    compare(found, at(rows, made.svi.gradients))
    if objective not in PYROS:
        return
    settings = {"num_particles": particles, "vectorize_particles": particles > 1, "max_plate_nesting": 1}
    estimator = PYROS[objective](**settings)
    if isinstance(estimator, RenyiELBO):  # whose loss is a number
        with pyro.settings.context(module_local_params=True):
            value = at(rows, lambda rows: estimator.loss(made.svi.model, made.svi.guide, *made.svi.prepare(rows)))
        assert found[0].item() == pytest.approx(value, rel=1e-9)
    else:
        compare(found, at(rows, lambda rows: by_pyro(made, estimator, rows)))


@pytest.mark.parametrize("objective", ["stl", "dreg"])
def test_what_has_no_fixed_structure_says_so(objective):
    """Scored anew, an autoregressive flow is inverted dimension by dimension, in an order that it looks up."""
    vae, config = small_vae(posterior="flow", objective=objective, particles=2, compile="yes", epochs=1)
    with pytest.warns(UserWarning, match="compile: steps are taken one operation at a time: .*tracing tensor"):
        assert next(iter(fit(vae, small_data(pixels=config.pixels), config)))["train"]["loss"] > 0

"""Compares compiled steps with Pyro's own estimators at the same random numbers, in float64, for every component."""

from itertools import chain, cycle, repeat

import pyro
import pytest
import torch
from pyro.infer import RenyiELBO, Trace_ELBO, TraceMeanField_ELBO
from support.builders import small_data, small_fit, small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae import fit
from pyrovae.inference import seeded
from pyrovae.inference.compiled import capture
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS

# As few combinations as contain every likelihood, prior, posterior, network, flow, scale and condition.
MEMBERS = [
    {"likelihood": likelihood, "prior": prior, "posterior": posterior, "network": network}
    for likelihood, prior, posterior, network in zip(
        LIKELIHOODS,
        cycle(prior for prior in PRIORS if prior != "conditional"),
        cycle(posterior for posterior in POSTERIORS if posterior != "delta"),
        chain(reversed(NETWORKS), repeat("mlp")),  # so that the largest network gets no flow, which compiles slowly
    )
] + [
    {"likelihood": "gaussian", "scale": "pixel", "prior": "conditional", "condition": "label"},
    {"likelihood": "gaussian", "scale": "optimal", "prior": "conditional", "condition": "quadrant2"},
    {"likelihood": "student_t", "scale": 0.5, "posterior": "delta"},
    {"prior": "flow", "flow": "coupling", "beta": 0.5},
]


@pytest.fixture
def in_float64(loops_of_numbers):
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def fitting(likelihood="bernoulli", **settings):
    """Set up a fit with these components and few units."""
    # Not with dynamic pixels: for float64 probabilities, Inductor and torch draw with different random numbers.
    pixels = next(pixels for pixels in LIKELIHOODS[likelihood].domain if pixels != "dynamic")
    defaults = {"pixels": pixels, "hidden": (5,), "latent_dim": 3, "components": 4, "likelihood": likelihood}
    trainer = small_fit(**defaults | settings)
    trainer.vae.train()
    return trainer


def at(rows, step):
    """Return the loss and the gradients of a step, with the random numbers of a fixed seed."""
    with seeded(7):
        return step(rows)


def by_pyro(trainer, estimator, rows):
    """Return the loss and the gradients that an estimator of Pyro computes for the same model and guide."""
    parameters = trainer.svi.update.parameters
    with pyro.settings.context(module_local_params=True), pyro.validation_enabled(False):
        loss = estimator.differentiable_loss(trainer.svi.model, trainer.svi.guide, *trainer.svi.prepare(rows))
    return loss.detach(), *torch.autograd.grad(loss, parameters, allow_unused=True)


def compare(result, expected, atol=1e-9):
    assert len(result) == len(expected)
    for one, other in zip(result, expected):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=atol)


@pytest.mark.parametrize("members", MEMBERS, ids=lambda members: "-".join(map(str, members.values())))
def test_every_component_compiles_to_a_step_that_agrees_with_pyros_trace_elbo(members, in_float64):
    trainer, rows = fitting(**members), torch.arange(6)
    at(rows, trainer.svi.evaluate_loss)  # this step is validated; later ones are not
    compiled = capture(trainer.svi.gradients, rows)
    state = {name: tensor.clone() for name, tensor in trainer.vae.state_dict().items()}
    expected = at(rows, lambda rows: by_pyro(trainer, Trace_ELBO(max_plate_nesting=1), rows))
    trainer.vae.load_state_dict(state)
    result = at(rows, compiled)
    assert result[0].dtype == torch.float64
    compare(result, expected)


def test_every_likelihood_scores_in_loops_over_vectors_as_it_does_eagerly():
    """In float32, as trainings are, while the comparison with Pyro compiles to loops of single numbers."""
    members = []
    for name, member in LIKELIHOODS.items():
        vae, config = small_vae(likelihood=name, pixels=next(each for each in member.domain if each != "dynamic"))
        data = small_data(pixels=config.pixels)
        members.append((vae.likelihood, data.batch(data.train, slice(0, 5)).x))
    features = [torch.randn(5, likelihood.features, 1, 8, 8) for likelihood, _ in members]

    def scores(*features):
        results = []
        for (likelihood, x), h in zip(members, features):
            h = h.detach().requires_grad_()
            score = likelihood(h).log_prob(x)
            results += [score.detach(), *torch.autograd.grad(score.sum(), h)]
        return tuple(results)

    with pyro.validation_enabled(False):  # which looks at values, as a graph cannot
        results = capture(scores, *features)(*features)
    for result, expected in zip(results, scores(*features), strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


PYROS = {
    "elbo": Trace_ELBO,
    "analytic": TraceMeanField_ELBO,
    "renyi": lambda **settings: RenyiELBO(alpha=0.5, **settings),
    "iwae": lambda **settings: RenyiELBO(alpha=0, **settings),
}


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_compiles_to_a_step_that_agrees_with_pyros(objective, particles, in_float64):
    """Use one image, because Pyro bounds a whole batch and not each image; Pyro does not have all objectives."""
    if particles == 1 and getattr(OBJECTIVES[objective], "weighs_particles", False):
        pytest.skip("with one particle it is the elbo")
    trainer, rows = fitting(objective=objective, particles=particles, free_bits=0.0), torch.arange(1)
    at(rows, trainer.svi.evaluate_loss)
    compiled = capture(trainer.svi.gradients, rows)
    result = at(rows, compiled)
    compare(result, at(rows, trainer.svi.gradients))
    if objective not in PYROS:
        return
    settings = {"num_particles": particles, "vectorize_particles": particles > 1, "max_plate_nesting": 1}
    estimator = PYROS[objective](**settings)
    if isinstance(estimator, RenyiELBO):  # its loss is a number without gradients
        with pyro.settings.context(module_local_params=True):
            value = at(
                rows, lambda rows: estimator.loss(trainer.svi.model, trainer.svi.guide, *trainer.svi.prepare(rows))
            )
        assert result[0].item() == pytest.approx(value, rel=1e-9)
    else:
        compare(result, at(rows, lambda rows: by_pyro(trainer, estimator, rows)))


@pytest.mark.parametrize("objective", ["stl", "dreg"])
def test_a_step_without_a_fixed_structure_warns_and_runs_eagerly(objective):
    """Scoring a given code inverts an autoregressive flow one dimension after another, in an order that it looks up."""
    vae, config = small_vae(posterior="flow", objective=objective, particles=2, compile="yes", epochs=1)
    with pytest.warns(UserWarning, match="compile: steps are taken one operation at a time: .*tracing tensor"):
        assert next(iter(fit(vae, small_data(pixels=config.pixels), config)))["train"]["loss"] > 0

"""Sums over discrete sites, compared with Pyro's `TraceEnum_ELBO` and with sums that are written out."""

import math
import warnings

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from torch import nn

from pyrovae import SVI, InputError
from pyrovae.inference import seeded
from pyrovae.inference.compiled import capture
from pyrovae.inference.objectives import EnumeratedELBO, KLWeight, TraceELBO

SUMMED = {"enumerate": "parallel"}


class Base(nn.Module):
    """Holds a few parameters, of which each program takes what it needs."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)

        def numbers(*shape):
            return nn.Parameter(torch.randn(*shape, generator=generator))

        self.logits, self.loc, self.to_logits, self.to_loc = numbers(3), numbers(3, 2), numbers(4, 3), numbers(4, 2)
        self.weight, self.shift, self.other = numbers(2, 4), numbers(3, 4), numbers(3, 2)

    def x(self, mean, x):
        pyro.sample("x", dist.Normal(mean, 0.7).to_event(1), obs=x)


class Mixture(Base):
    """Clusters: z given x, and c given z."""

    def model(self, x):
        with pyro.plate("data", len(x)):
            c = pyro.sample("c", dist.OneHotCategorical(logits=self.logits))
            z = pyro.sample("z", dist.Normal(c @ self.loc, 1.0).to_event(1))
            self.x(z @ self.weight, x)

    def guide(self, x):
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x @ self.to_loc, 0.5).to_event(1))
            pyro.sample("c", dist.OneHotCategorical(logits=z @ self.loc.T), infer=SUMMED)


class SemiSupervised(Base):
    """A label, and a code given the label; `known` rows have a label that is certain."""

    def model(self, x, known=None):
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", dist.OneHotCategorical(logits=torch.zeros(3)))
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            self.x(z @ self.weight + y @ self.shift, x)

    def guide(self, x, known=None):
        with pyro.plate("data", len(x)):
            logits = x @ self.to_logits
            if known is not None:
                logits = torch.where(known.any(-1, keepdim=True), known.log(), logits)
            y = pyro.sample("y", dist.OneHotCategorical(logits=logits), infer=SUMMED)
            pyro.sample("z", dist.Normal(x @ self.to_loc + y @ self.other, 0.5).to_event(1))


class TwoLabels(Base):
    """Two discrete sites, the second of which depends on the first."""

    def model(self, x):
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Categorical(logits=self.logits))
            b = pyro.sample("b", dist.Bernoulli(logits=self.loc[a].sum(-1)))
            self.x(self.shift[a] + b[..., None], x)

    def guide(self, x):
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Categorical(logits=x @ self.to_logits), infer=SUMMED)
            pyro.sample("b", dist.Bernoulli(logits=(x @ self.to_loc).sum(-1) + self.other[a].sum(-1)), infer=SUMMED)


class OneForAll(Base):
    """A discrete site outside the plate, on which all rows depend, and one inside."""

    def model(self, x):
        g = pyro.sample("g", dist.Categorical(logits=self.logits))
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", dist.Categorical(logits=self.loc.T[0]))
            self.x(self.shift[g] * 0.5 + self.shift[y], x)

    def guide(self, x):
        pyro.sample("g", dist.Categorical(logits=self.logits * 0.3), infer=SUMMED)
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Categorical(logits=x @ self.to_logits), infer=SUMMED)


PROGRAMS = [Mixture, SemiSupervised, TwoLabels, OneForAll]


@pytest.fixture(autouse=True)
def _double(double):
    """Compare in float64."""


def loss_and_gradients(estimator, model, guide, program, *args):
    with seeded(3), pyro.settings.context(module_local_params=True):
        loss = estimator.differentiable_loss(model, guide, *args)
    return loss.detach(), *torch.autograd.grad(loss, [*program.parameters()], allow_unused=True)


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("program", PROGRAMS)
def test_value_and_gradient_are_those_of_pyros_sum(program, particles):
    program, x = program(), torch.randn(5, 4)
    settings = {"num_particles": particles, "vectorize_particles": particles > 1, "max_plate_nesting": 1}
    ours = loss_and_gradients(EnumeratedELBO(**settings), program.model, program.guide, program, x)
    pyros = loss_and_gradients(TraceEnum_ELBO(**settings), program.model, program.guide, program, x)
    assert any(gradient is not None for gradient in ours[1:])
    for one, other in zip(ours, pyros):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_sum_over_labels_is_the_sum_that_is_written_out():
    program, x = TwoLabels(), torch.randn(5, 4)
    q_a = dist.Categorical(logits=x @ program.to_logits)
    expected = 0.0
    for a in range(3):
        q_b = dist.Bernoulli(logits=(x @ program.to_loc).sum(-1) + program.other[a].sum())
        for b in (0.0, 1.0):
            b = torch.tensor(b).expand(5)
            log_q = q_a.log_prob(torch.tensor(a)) + q_b.log_prob(b)
            log_p = program.logits.log_softmax(-1)[a] + dist.Bernoulli(logits=program.loc[a].sum()).log_prob(b)
            log_p = log_p + dist.Normal(program.shift[a] + b[:, None], 0.7).log_prob(x).sum(-1)
            expected = expected - (log_q.exp() * (log_p - log_q)).sum()
    loss = EnumeratedELBO(max_plate_nesting=1).differentiable_loss(program.model, program.guide, x)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


def test_a_label_that_is_known_counts_alone_and_its_gradient_is_finite():
    """The values of probability 0 have an infinite log-probability."""
    program, x = SemiSupervised(), torch.randn(4, 4)
    known = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]])
    estimator = EnumeratedELBO(max_plate_nesting=1)
    loss, *gradients = loss_and_gradients(estimator, program.model, program.guide, program, x, known)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)
    to_logits = dict(zip((name for name, _ in program.named_parameters()), gradients))["to_logits"]
    _, *only_unknown = loss_and_gradients(estimator, program.model, program.guide, program, x[[2]], known[[2]])
    names = [name for name, _ in program.named_parameters()]
    assert to_logits.abs().sum() > 0
    assert only_unknown[names.index("to_logits")].abs().sum() > 0
    certain = x[[0]], known[[0]]
    assert loss_and_gradients(estimator, program.model, program.guide, program, *certain)[
        1 + names.index("to_logits")
    ].abs().sum() == pytest.approx(0)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_terms_add_up_to_the_loss_whatever_weight_the_latents_have(program):
    program, x = program(), torch.randn(5, 4)
    estimator = EnumeratedELBO(max_plate_nesting=1)
    plain, *_ = loss_and_gradients(estimator, program.model, program.guide, program, x)
    torch.testing.assert_close(sum(estimator.terms.values()), plain, rtol=1e-12, atol=0)
    terms = dict(estimator.terms)
    latents = [name for name in terms if name != "x"]
    model, guide = program.model, program.guide
    for name in latents:
        weight = KLWeight(0.25, [name])
        model, guide = weight(model), weight(guide)
    weighted, *_ = loss_and_gradients(estimator, model, guide, program, x)
    assert {name: float(term) for name, term in estimator.terms.items()} == pytest.approx(
        {name: float(term) for name, term in terms.items()}
    )
    expected = terms["x"] + 0.25 * sum(terms[name] for name in latents)
    torch.testing.assert_close(weighted, expected, rtol=1e-12, atol=0)


@pytest.mark.usefixtures("loops_of_numbers")
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_step_compiles_and_agrees(program):
    program, x = program(), torch.randn(5, 4)
    parameters = [*program.parameters()]
    svi = SVI(program.model, program.guide, torch.optim.Adam(parameters), EnumeratedELBO(max_plate_nesting=1))
    with seeded(3):
        eager = svi.gradients(x)
    compiled = capture(svi.gradients, x)
    with seeded(3):
        fast = compiled(x)
    for one, other in zip(fast, eager):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_guide_without_discrete_sites_gives_the_plain_elbo():
    class Plain(Base):
        def model(self, x):
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
                self.x(z @ self.weight, x)

        def guide(self, x):
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(x @ self.to_loc, 0.5).to_event(1))

    program, x = Plain(), torch.randn(5, 4)
    ours, theirs = (
        loss_and_gradients(estimator(max_plate_nesting=1), program.model, program.guide, program, x)
        for estimator in (EnumeratedELBO, TraceELBO)
    )
    for one, other in zip(ours, theirs):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_depth_of_plates_is_found_if_it_is_not_given():
    program, x = TwoLabels(), torch.randn(5, 4)
    given, guessed = (
        EnumeratedELBO(max_plate_nesting=nesting).differentiable_loss(program.model, program.guide, x)
        for nesting in (1, math.inf)
    )
    assert given == guessed


def test_a_site_that_is_drawn_without_a_gradient_is_refused():
    class Drawn(TwoLabels):
        def guide(self, x):
            with pyro.plate("data", len(x)):
                a = pyro.sample("a", dist.Categorical(logits=x @ self.to_logits), infer=SUMMED)
                pyro.sample("b", dist.Bernoulli(logits=self.other[a].sum(-1)))

    program = Drawn()
    with pytest.raises(InputError, match=r"guide: expected the site 'b' to be summed over .* got draws of Bernoulli"):
        EnumeratedELBO(max_plate_nesting=1).differentiable_loss(program.model, program.guide, torch.randn(5, 4))


def test_svi_takes_pyros_own_estimator_too():
    """Outside a step, too, where no gradient is asked for."""
    program, x = SemiSupervised(), torch.randn(5, 4)
    losses = []
    for estimator in (EnumeratedELBO, TraceEnum_ELBO, Trace_ELBO):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            svi = SVI(program.model, program.guide, None, estimator(max_plate_nesting=1))
            with seeded(3):
                losses.append(svi.evaluate_loss(x))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-12, atol=0)
    assert not any(loss.requires_grad for loss in losses)

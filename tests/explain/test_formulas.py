"""Formulas, and the fields in them that depend on the program."""

import pytest
from support.explanations import explanation_of
from support.likelihoods import LIKELIHOODS
from torch import nn

from pyrovae import Config, build
from pyrovae.explain.formulas import Symbols, formulas, network
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.densities import declared
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.posteriors.gaussian import Diagonal
from pyrovae.parts.priors import PRIORS
from pyrovae.parts.priors.standard import Normal

LOSS = "−E_q[log {likelihood}]{plus_kl}"


@pytest.mark.parametrize(
    ("symbols", "loss"),
    [
        (Symbols(), "−E_q[log p(x | z)] + β E_q[log q(z | x) − log p(z)]"),
        (Symbols(conditional=True), "−E_q[log p(x | z, y)] + β E_q[log q(z | x, y) − log p(z)]"),
        (Symbols(True, prior_reads_y=True), "−E_q[log p(x | z, y)] + β E_q[log q(z | x, y) − log p(z | y)]"),
        (Symbols(has_kl=False), "−E_q[log p(x | z)]"),
        (Symbols(conditional=True, has_kl=False), "−E_q[log p(x | z, y)]"),
    ],
)
def test_the_fields_of_a_formula_follow_the_program(symbols, loss):
    assert symbols.fill(LOSS) == loss


def test_densities_at_the_kth_code_name_the_context_too():
    assert Symbols(True, True).fill("{prior_k} / {posterior_k}") == "p(zₖ | y) / q(zₖ | x, y)"
    assert Symbols(True).fill("{likelihood_k}, q(z | {input_k})") == "p(x | zₖ, y), q(z | uₖ, yₖ)"


@pytest.mark.parametrize("family", [LIKELIHOODS, PRIORS, POSTERIORS, OBJECTIVES])
def test_every_field_of_a_listed_formula_is_known(family):
    assert not [member for member in family.values() if "{" in Symbols().fill(member.formula)]


@pytest.mark.parametrize("text", ["q(z | x), my own", r"\frac{1}{2} {mine} {", "{}", "100 % of p(z)"])
def test_a_users_formula_without_fields_is_shown_as_it_is(text):
    class Mine(Normal):
        """The standard normal under another formula."""

        formula = text

    vae = build(Config(condition="label", hidden=(16,)), (1, 8, 8), classes=3)
    vae.prior = Mine(2)
    assert formulas(vae, Symbols(conditional=True))[1].right == text


@pytest.mark.parametrize(("prior_reads_y", "right"), [(False, "Bare(z)"), (True, "Bare(z; y)")])
def test_a_part_without_a_formula_is_shown_by_the_name_of_its_class(prior_reads_y, right):
    class Bare(Normal):
        def forward(self, y=None):
            return super().forward(y)

    vae = build(Config(condition="label", hidden=(16,)), (1, 8, 8), classes=3)
    vae.prior = Bare(2)
    assert formulas(vae, Symbols(True, prior_reads_y))[1].right == right


def test_a_formula_is_inherited_only_with_the_forward_that_it_describes():
    class Renamed(Diagonal):
        """The same density."""

    class Other(Diagonal):
        def forward(self, h):
            return super().forward(2 * h)

    assert declared(Renamed(3, 2), "formula") == Diagonal.formula
    assert declared(Other(3, 2), "formula") is None
    assert declared(nn.Linear(1, 1), "log_density") is None


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_has_a_formula(objective):
    explanation = explanation_of(
        trained=False, objective=objective, particles=4, beta=0.5, warmup=3, cycle=6, epochs=6, free_bits=0.1
    )
    loss = explanation.formulas[-1]
    assert loss.left == "loss"
    assert "p(x | z" in " ".join((loss.right, *loss.where))
    assert "β = 0.5, from 0 over 3 epochs, again every 6" in loss.where
    assert "0.1 nats of KL free in each dimension" in loss.where
    assert ("K = 4" in loss.where) is ("1/K" in loss.right)


@pytest.mark.parametrize("family", [LIKELIHOODS, PRIORS, POSTERIORS])
def test_every_part_has_a_formula(family):
    assert all(member.formula for member in family.values())


def test_a_network_is_named_only_for_a_program_that_takes_one():
    settings = {"hidden": (16,), "network": "mlp"}
    assert network(Config(**settings, program="semi_supervised")) == "mlp, hidden = 16, activation = relu"
    assert network(Config(**settings, program="support.programs:Clusters")) == ""

"""Explanations of programs other than the VAE: formulas, terms and arrows that are read from a run."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from support.builders import small_vae
from support.explanations import explanation_of
from support.likelihoods import LIKELIHOODS
from support.programs import BRIGHT, Clusters, Symbols

from pyrovae.data.data import Batch
from pyrovae.explain.explanation import explain
from pyrovae.explain.families import FAMILIES
from pyrovae.explain.graph import is_of_vae
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.posteriors.gaussian import Diagonal
from pyrovae.parts.priors import PRIORS
from pyrovae.program import Program
from pyrovae.vae import VAE

HIERARCHICAL = {"program": "hierarchical", "latent_dim": (4, 2), "trained": False}
SEMI_SUPERVISED = {"program": "semi_supervised", "trained": False}


def equations(explanation):
    return {formula.left: formula.right for formula in explanation.formulas}


def parents(explanation, program="guide"):
    return {site.name: site.parents for site in explanation.sites if site.program == program}


def own(program):
    """Explain a program for images (1, 4, 4) that no config describes."""
    x = torch.randint(0, 2, (5, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    return explain(program, Batch(x, torch.zeros(5, dtype=torch.long)))


def complete(explanation):
    """Whether each term is there in plain PyTorch, too, and agrees."""
    terms = (*explanation.terms, explanation.total, explanation.elbo)
    return explanation.agrees and not explanation.missing and None not in [term.in_torch for term in terms]


@pytest.mark.parametrize(
    ("inference", "guide"),
    [
        ("bottom_up", ["q(z1 | x)", "q(z2 | z1)"]),
        ("top_down", ["q(z2 | x)", "q(z1 | x, z2)"]),
        ("ladder", ["q(z2 | x)", "q(z1 | x, z2)"]),
    ],
)
def test_a_hierarchy_is_written_in_the_order_in_which_model_and_guide_run(inference, guide):
    explanation = explanation_of(**HIERARCHICAL, inference=inference)
    written = equations(explanation)
    model = ["p(z2)", "p(z1 | z2)", "p(x | z1)"]
    assert [*written] == ["p(x, z1, z2)", *model, "q(z1, z2 | x)", *guide, "log p(x)", "loss"]
    assert written["p(x, z1, z2)"] == " ".join(model)
    assert written["q(z1, z2 | x)"] == " ".join(guide)
    assert written["p(z1 | z2)"] == "N(z1; μ, diag σ²)"
    bound = " + ".join(f"log {each}" for each in model) + "".join(f" − log {each}" for each in guide)
    assert written["log p(x)"] == f"≥ E_q[{bound}]"
    assert written["loss"] == "−E_q[log p(x | z1)] + β E_q[log q(z1, z2 | x) − log p(z1, z2)]"
    assert [term.name for term in explanation.terms] == [f"log {each}" for each in (*model, *guide)]
    assert complete(explanation)


def test_a_ladders_product_is_written_by_its_family():
    formula = explanation_of(**HIERARCHICAL, inference="ladder").formulas[6]
    assert formula == ("q(z1 | x, z2)", "Πᵢ N(z1ᵢ; μᵢ, σᵢ²)", ("μ, σ from x, z2",), "Normal.to_event(1)")


def test_parts_have_the_names_of_the_config_or_of_their_places():
    labels = {formula.left: formula.part for formula in explanation_of(**HIERARCHICAL).formulas}
    assert labels["p(z2)"] == "prior normal"
    assert labels["p(z1 | z2)"] == "lower_priors.0.1 Diagonal"
    assert labels["q(z2 | z1)"] == "posterior diagonal"


def test_the_context_and_a_decoder_that_skips_are_among_the_conditions():
    explanation = explanation_of(
        **HIERARCHICAL | {"latent_dim": (4, 3, 2)}, inference="top_down", skip="yes", condition="quadrant1"
    )
    assert parents(explanation, "model")["x"] == ("z1", "z2", "z3", "y")
    assert parents(explanation) == {"z3": ("x", "y"), "z2": ("x", "y", "z3"), "z1": ("x", "y", "z2")}
    decoded = next(formula for formula in explanation.formulas if formula.left == "p(x | z1, z2, z3, y)")
    assert "h = decoder(z1, z2, z3, y)" in decoded.where
    assert "i: the 48 pixels that y does not show" in decoded.where
    assert complete(explanation)


def test_a_label_is_summed_over():
    explanation = explanation_of(**SEMI_SUPERVISED)
    written = equations(explanation)
    assert written["p(x, z, y)"] == "p(y) p(z) p(x | z, y)"
    assert (written["p(y)"], written["q(y | x)"]) == ("Πₖ πₖ^yₖ", "Πₖ πₖ^yₖ")
    assert written["log p(x)"] == (
        "≥ Σ_y q(y | x) E_q[log p(y) + log p(z) + log p(x | z, y) − log q(y | x) − log q(z | x, y)]"
    )
    assert explanation.formulas[-1].where[-2:] == ("the mean sums over y", "plus the guide's factor classifier")
    assert [(site.name, site.batch, site.summed) for site in explanation.sites][3:] == [
        ("y", (3, 12), True),
        ("z", (3, 12), False),
    ]
    assert explanation.elbo.name == "TraceEnum_ELBO"
    assert [kl.name for kl in explanation.kls] == [
        "KL of y, summed",
        "KL of y, exact",
        "KL of z, as drawn",
        "KL of z, exact",
    ]
    assert explanation.kls[0].in_pyro == pytest.approx(explanation.kls[1].in_pyro, abs=1e-12)
    assert complete(explanation)


def test_without_a_density_the_label_still_weighs_the_score():
    explanation = explanation_of(**SEMI_SUPERVISED, posterior="delta")
    assert equations(explanation)["score"] == "Σ_y q(y | x) log p(x | z, y) at z = μ"
    assert [term.name for term in explanation.terms] == ["log p(x | z, y)"]
    assert complete(explanation)


def test_a_program_of_ones_own_mixes_parts_and_distributions(tmp_path):
    (tmp_path / "bright.py").write_text(BRIGHT)
    explanation = explanation_of(program=f"{tmp_path}/bright.py:Bright", prior="mixture", components=5)
    written = equations(explanation)
    assert written["p(x, brightness, z)"] == "p(z) p(brightness) p(x | brightness, z)"
    assert written["p(z)"] == "Σₖ πₖ N(z; μₖ, diag σₖ²)"
    assert explanation.formulas[2] == ("p(brightness)", "N(brightness; μ, σ²)", ("μ = 0", "σ = 1"), "Normal")
    assert parents(explanation) == {"brightness": ("x",), "z": ("x",)}
    assert [site.learned for site in explanation.sites] == [True, False, True, True, True]
    assert explanation.parameters["brightness"] == 2 * 17
    # The guide draws z last, but the brightness does not depend on it.
    assert [kl.name for kl in explanation.kls] == [
        "KL of brightness, as drawn",
        "KL of brightness, exact",
        "KL of z, as drawn",
    ]
    assert complete(explanation)


def test_an_index_that_is_summed_over_after_a_draw():
    explanation = own(Clusters())
    assert equations(explanation)["log p(x)"] == (
        "≥ E_q Σ_c q(c | z) [log p(c) + log p(z | c) + log p(x | z) − log q(z | x) − log q(c | z)"
        " + the model's factor small]"
    )
    assert parents(explanation, "model") == {"c": (), "z": ("c",), "x": ("z",)}
    assert parents(explanation) == {"z": ("x",), "c": ("z",)}
    assert complete(explanation)
    # KL(q(z | x) ‖ p(z | c)) at a c that comes after z would be no estimate of the KL of z.
    assert [kl.name for kl in explanation.kls] == ["KL of z, as drawn", "KL of c, summed", "KL of c, exact"]


def test_what_no_family_knows_is_missing():
    explanation = own(Symbols())
    assert explanation.missing == ["Kumaraswamy of p(share)", "Kumaraswamy of q(share)"]
    assert equations(explanation)["p(s)"] == "Πᵢ Πₖ πᵢₖ^sᵢₖ"
    assert equations(explanation)["q(w | s)"] == "N(log w; μ, σ²) / w"
    assert explanation.agrees
    assert explanation.total.in_torch is None
    assert explanation.elbo.difference < 1e-9


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_agrees_for_all_values_of_a_label(likelihood):
    assert complete(explanation_of(program="semi_supervised", likelihood=likelihood))
    assert complete(explanation_of(program="stacked", latent_dim=(3, 2), likelihood=likelihood, trained=False))


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("prior", ["normal", "laplace", "student_t", "mixture", "flow"])
def test_priors_and_posteriors_agree_for_all_values_of_a_label(prior, posterior):
    if posterior == "delta" and prior in ("mixture", "flow"):
        pytest.skip("without a KL no prior is learned")
    assert complete(explanation_of(program="semi_supervised", prior=prior, posterior=posterior))


@pytest.mark.parametrize("prior", [prior for prior in PRIORS if prior != "conditional"])
def test_every_prior_agrees_at_the_top_of_a_hierarchy(prior):
    assert complete(explanation_of(**HIERARCHICAL | {"trained": True}, inference="top_down", prior=prior))


def test_a_part_that_differs_from_its_density_does_not_agree(monkeypatch):
    monkeypatch.setattr(Diagonal, "log_density", lambda self, h, z: -(z**2).sum(-1))
    explanation = explanation_of(**HIERARCHICAL, inference="ladder")
    wrong = [term.name for term in explanation.terms if not term.agrees]
    assert wrong == ["log p(z1 | z2)", "log q(z2 | x)"]
    assert (explanation.total.agrees, explanation.elbo.agrees, explanation.agrees) == (False, False, False)


def test_a_family_that_differs_from_its_density_does_not_agree(monkeypatch):
    wrong = FAMILIES[dist.Normal]._replace(log_density=lambda value, loc, scale: -(((value - loc) / scale) ** 2))
    monkeypatch.setitem(FAMILIES, dist.Normal, wrong)
    explanation = explanation_of(**HIERARCHICAL, inference="ladder")
    assert [term.name for term in explanation.terms if not term.agrees] == ["log q(z1 | x, z2)"]
    assert not explanation.agrees


def test_a_weight_of_the_sum_that_is_left_out_does_not_agree(monkeypatch):
    """Pyro's estimator sums over the label by itself."""
    monkeypatch.setattr("pyrovae.explain.by_site.Weights.weighted", lambda self, site, values: values)
    assert not explanation_of(**SEMI_SUPERVISED).elbo.agrees


def test_listings_reach_the_modules_in_which_the_guide_draws():
    listed = [listing.name for listing in explanation_of(**HIERARCHICAL, inference="ladder").program]
    assert listed[:3] == ["Hierarchical.model", "Hierarchical.guide", "TopDown.forward"]
    assert "Ladder.given" in listed


def test_a_point_that_is_learned_is_marked():
    """Its log-density has no gradient."""
    learned = [site.learned for site in explanation_of(**SEMI_SUPERVISED, posterior="delta").sites]
    assert learned == [False, False, True, True, True]


class Factors(Program):
    """A linear factor model, of the variables of a VAE."""

    shape = (1, 4, 4)

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2, 16))

    def model(self, x=None, y=None, n=1):
        with pyro.plate("images", n if x is None else len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            return pyro.sample("x", dist.Normal((z @ self.weight).unflatten(-1, self.shape), 0.5).to_event(3), obs=x)

    def guide(self, x, y=None):
        with pyro.plate("images", len(x)):
            pyro.sample("z", dist.Normal(x.flatten(-3) @ self.weight.mT, 0.25).to_event(1))


def test_a_program_of_the_variables_of_a_vae_is_drawn_as_one():
    explanation = own(Factors())
    assert [*equations(explanation)] == ["p(x, z)", "p(z)", "p(x | z)", "q(z | x)", "log p(x)"]
    assert explanation.formulas[1].where == ("μ = 0", "σ = 1")
    assert explanation.formulas[2].where == ("σ = 0.5", "μ from z")
    assert explanation.parameters == {"weight": 32}
    assert is_of_vae(explanation)
    assert complete(explanation)


def test_a_subclass_of_the_vae_with_a_model_of_its_own_is_explained_by_its_sites():
    """Its own second latent is in the formulas, where those of the VAE have none."""

    class Brighter(VAE):
        def model(self, x=None, y=None, n=1):
            with pyro.plate("images", n if x is None else len(x)):
                z = pyro.sample("z", self.prior(y))
                shift = pyro.sample("shift", dist.Normal(torch.zeros(1), 1.0).to_event(1))
                return pyro.sample("x", self.likelihood(self.decoder(z, y) + shift[..., None, None, None]), obs=x)

        def guide(self, x, y=None):
            with pyro.plate("images", len(x)):
                z = pyro.sample("z", self.posterior(self.encoder(x, y)))
                pyro.sample("shift", dist.Normal(torch.zeros(1), 1.0).to_event(1))
                return z

    plain, _ = small_vae()
    program = Brighter(plain.encoder, plain.decoder, plain.prior, plain.posterior, plain.likelihood)
    explanation = explain(program, Batch(torch.rand(5, 1, 8, 8), None))
    assert explanation.formulas[0].left == "p(x, shift, z)"
    assert explanation.agrees

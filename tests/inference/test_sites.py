"""The sites of a program, and what training and evaluation make of programs with several latents."""

import copy
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from support.hierarchy import Hierarchy, LinearHierarchy
from torch import nn

from pyrovae import Config, InputError, fit, load
from pyrovae.evaluation.importance import log_weights
from pyrovae.inference import seeded
from pyrovae.inference.objectives import OBJECTIVES, KLWeight, TraceELBO
from pyrovae.inference.sites import Site
from pyrovae.program import Program

CONFIG = Config(pixels="dynamic", device="cpu", epochs=2, lr=3e-3, threads=1, compile="no")


def hierarchy():
    with seeded(0):
        return Hierarchy().eval()


def test_sites_are_those_of_the_model_in_its_order():
    x, state = torch.rand(2, 1, 8, 8), torch.get_rng_state()
    sites = hierarchy().sites(x)
    assert torch.equal(state, torch.get_rng_state())
    assert [*sites.values()] == [
        Site("z2", (2,), observed=False, discrete=False, inferred_after=("z1",)),
        Site("z1", (6,), observed=False, discrete=False, inferred_after=()),
        Site("x", (1, 8, 8), observed=True, discrete=False, inferred_after=()),
    ]


def _wrong(change):
    """A program like the hierarchy, with a guide or a model that draws in another way."""

    class Wrong(Hierarchy):
        def guide(self, x, y=None):
            with pyro.plate("images", len(x)):
                z1 = pyro.sample("z1", self.lower_posterior(self.encoder(x)))
                if change != "misses":
                    pyro.sample("z2", self.upper_posterior(z1))
                if change == "adds":
                    pyro.sample("z3", dist.Normal(z1, 1.0).to_event(1))

        def model(self, x=None, y=None, n=1):
            if change != "no plate":
                return super().model(x, y, n)
            z2 = pyro.sample("z2", self.prior().expand([len(x)]))
            z1 = pyro.sample("z1", self.lower_prior(z2))
            return pyro.sample("x", self.likelihood(self.decoder(z1)), obs=x)

    program = Wrong()
    if change == "code":
        program.code = "z"
    if change == "image":
        program.image = "pixels"
    return program


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("misses", "expected a site for each latent of the model, got none named 'z2'"),
        ("adds", "expected the model's latents alone, got 'z3'"),
        ("no plate", "expected the site 'z2' in the plate of the images"),
        ("code", "expected a latent site that is a vector, of z2, z1, got 'z'"),
        ("image", "expected an observed site of the model, got 'pixels'"),
    ],
)
def test_a_program_that_does_not_fit_itself_is_refused_before_it_trains(change, message):
    with pytest.raises(InputError, match=message):
        fit(_wrong(change), load(CONFIG), CONFIG)


@pytest.mark.usefixtures("loops_of_numbers")
@pytest.mark.parametrize("compile", ["no", "yes"])
def test_a_program_of_two_layers_trains_with_a_term_for_each_and_resumes_where_it_is_eager(compile):
    config, data = CONFIG.replace(compile=compile, epochs=3), load(CONFIG)
    whole = fit(hierarchy(), data, config)
    records = [*whole]
    for record in records:
        for part in (record["train"], record["test"]):
            assert [*part["sites"]] == ["z2", "z1"]
            assert sum(part["sites"].values()) == pytest.approx(part["kl"], rel=1e-12)
    assert records[-1]["test"]["loss"] < records[0]["test"]["loss"]
    assert whole.compiled == (compile == "yes")
    if compile == "yes":
        return
    half = fit(hierarchy(), data, config)
    next(iter(half))
    rest = fit(hierarchy(), data, config)
    rest.load_state_dict(copy.deepcopy(half.state_dict()))
    assert [again["test"] for again in rest] == [record["test"] for record in records[1:]]


def test_the_kl_weight_applies_to_every_latent_or_to_those_that_are_named():
    program, x = hierarchy(), torch.rand(5, 1, 8, 8).round()
    for sites, weighted in ((None, ("z1", "z2")), (["z1"], ("z1",))):
        weight, elbo = KLWeight(0.25, sites), TraceELBO(max_plate_nesting=1)
        loss = elbo.differentiable_loss(weight(program.model), weight(program.guide), x)
        expected = sum((0.25 if name in weighted else 1.0) * term for name, term in elbo.terms.items() if name != "x")
        assert loss.item() == pytest.approx((elbo.terms["x"] + expected).item(), rel=1e-6)


def test_a_linear_gaussian_hierarchy_meets_its_log_likelihood():
    program = LinearHierarchy()
    with seeded(1):
        x = torch.randn(20, 3)
        log_w = log_weights(program.model, program.guide, 20_000, x).double()
    estimate = torch.logsumexp(log_w, 0) - math.log(len(log_w))
    error = (log_w - estimate).exp().std(0) / math.sqrt(len(log_w))
    difference = (estimate - program.log_likelihood(x)) / error
    assert difference.abs().max() < 4  # the largest of twenty
    assert difference.square().mean().sqrt() < 2


@pytest.mark.parametrize("free_bits", [0.0, 2.0])
def test_a_closed_form_is_used_only_where_it_is_an_estimate_of_the_kl(free_bits):
    """The KL of z1 to p(z1 | z2) is no estimate where z2 was drawn from q(z2 | z1): it has another mean."""
    program, draws = LinearHierarchy(), 4000
    x = torch.randn(1, 3, generator=torch.Generator().manual_seed(0)).expand(draws, 3)
    losses = []
    for name in ("elbo", "analytic"):
        objective = OBJECTIVES[name](max_plate_nesting=1, free_bits=free_bits)
        with seeded(3), torch.no_grad():
            losses.append(objective.differentiable_loss(program.model, program.guide, x).item() / draws)
    assert losses[1] == pytest.approx(losses[0], abs=0.06)  # standard errors of some 0.015


def test_the_sum_of_seen_sites_is_the_reconstruction():
    class Two(Program):
        """A latent, and two images of it that are seen."""

        def __init__(self):
            super().__init__()
            self.shape, self.loc = (1, 8, 8), nn.Parameter(torch.zeros(2))

        def model(self, x=None, y=None, n=1):
            with pyro.plate("images", len(x)):
                z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
                pyro.sample("brightness", dist.Normal(z.sum(-1), 1.0), obs=x.mean((-1, -2, -3)))
                return pyro.sample(
                    "x", dist.Bernoulli(logits=z.sum(-1)[..., None, None, None]).expand(x.shape).to_event(3), obs=x
                )

        def guide(self, x, y=None):
            with pyro.plate("images", len(x)):
                return pyro.sample("z", dist.Normal(self.loc, 1.0).to_event(1))

    (record,) = fit(Two(), load(CONFIG), CONFIG.replace(epochs=1))
    test = record["test"]
    assert test["reconstruction"] > 64 * math.log(2) * 0.5
    assert test["loss"] == test["reconstruction"] + test["kl"]


def test_decoding_and_reconstruction_set_latents_to_their_means():
    program, x = hierarchy(), torch.rand(3, 1, 8, 8).round()
    code = program.encode(x)
    lower = program.lower_posterior(program.encoder(x)).mean
    assert torch.equal(code.mean, program.upper_posterior(lower).mean)
    z = torch.randn(3, 2)
    with torch.no_grad():
        assert torch.equal(program.decode(z), program.likelihood(program.decoder(program.lower_prior(z).mean)).mean)
        assert torch.equal(program.reconstruct(x), program.likelihood(program.decoder(lower)).mean)
    assert not torch.equal(program.decode(z, mean=False), program.decode(z, mean=False))  # z1 and the pixels are drawn


def test_the_distributions_of_the_code_are_those_at_the_means_of_what_comes_before_it():
    program, x = hierarchy(), torch.rand(3, 1, 8, 8).round()
    q, p = program.code_distributions(x)
    assert torch.equal(q.mean, program.encode(x).mean)
    assert torch.equal(p.mean, torch.zeros(3, 2))

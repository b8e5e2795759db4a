"""Values against formulas, gradients against each other."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae
from support.linear import Linear, gradients, make
from torch import nn

from pyrovae import Config, InputError, build, fit, load
from pyrovae.evaluation.importance import log_weights
from pyrovae.evaluation.latents import report
from pyrovae.inference.objectives import OBJECTIVES, KLWeight
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.objectives.mmd import squared_mmd


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def value(objective, program, x, seed=0):
    torch.manual_seed(seed)
    return objective.differentiable_loss(program.model, program.guide, x).detach()


@pytest.mark.parametrize(
    ("name", "settings"), [("iwae", {}), ("dreg", {}), ("renyi", {"alpha": 0.0}), ("renyi", {"alpha": 0.3})]
)
@pytest.mark.parametrize("particles", [1, 5])
def test_bounds_are_those_of_each_image(name, settings, particles):
    program, x = Linear(), torch.randn(4, 3)
    torch.manual_seed(0)
    log_w = log_weights(program.model, program.guide, particles, x)
    order = 1 - settings.get("alpha", 0.0)
    by_hand = -((torch.logsumexp(order * log_w, 0) - math.log(particles)) / order).sum()
    assert value(make(name, particles, **settings), program, x).item() == pytest.approx(by_hand.item())


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in ("analytic", "mmd")])
def test_one_particle_is_the_elbo(name):
    program, x = Linear(), torch.randn(4, 3)
    assert value(make(name), program, x).item() == pytest.approx(value(make("elbo"), program, x).item())


def test_renyi_goes_to_the_elbo_and_refuses_its_limit():
    program, x = Linear(), torch.randn(4, 3)
    near = value(make("renyi", 5, alpha=1 - 1e-6), program, x)
    assert near.item() == pytest.approx(value(make("elbo", 5), program, x).item(), rel=1e-4)
    with pytest.raises(ValueError, match="expected another number than 1"):
        make("renyi", alpha=1.0)


def test_analytic_has_the_closed_form_kl():
    program, x = Linear(), torch.randn(4, 3)
    objective = make("analytic")
    loss = value(objective, program, x)
    loc, scale = x @ program.slope, program.log_scale.exp()
    kl = (0.5 * (loc.square() + scale.square() - 1) - program.log_scale).sum()
    assert loss.item() == pytest.approx((objective.terms["x"] + kl).item())


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


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 2.0])
def test_dreg_agrees_with_iwae_in_expectation_at_every_weight_of_the_kl(beta):
    program, x = Linear(), torch.randn(3, 3)
    weighted = Weighted(program, beta)
    iwae, dreg = (gradients(make(name, 8), weighted, x, repeats=1500) for name in ("iwae", "dreg"))
    error = (iwae.var(0) / 1500 + dreg.var(0) / 1500).sqrt()
    assert ((iwae.mean(0) - dreg.mean(0)).abs() < 4 * error + 1e-9).all()
    assert torch.allclose(iwae[:, :3], dreg[:, :3])  # the model's gradient is the same, draw by draw
    if beta == 1:
        assert (dreg.var(0)[3:] < 0.7 * iwae.var(0)[3:]).all()


def test_dreg_agrees_with_iwae_for_a_flow():
    torch.manual_seed(0)
    vae, _ = small_vae(posterior="flow", hidden=(6,))
    vae = vae.double()
    x = torch.rand(3, 1, 8, 8)
    iwae, dreg = (gradients(make(name, 8), vae, x, repeats=600) for name in ("iwae", "dreg"))
    error = (iwae.var(0) / 600 + dreg.var(0) / 600).sqrt()
    deviation = (iwae.mean(0) - dreg.mean(0)) / (error + 1e-12)
    assert deviation.square().mean() < 3  # about 1 if they agree


class Weighted(nn.Module):
    """A program whose KL is weighted."""

    def __init__(self, program, beta):
        super().__init__()
        self.program, weight = program, KLWeight(beta)
        self.model, self.guide = weight(program.model), weight(program.guide)


def test_sticking_the_landing_has_no_variance_at_the_posterior():
    program, x = Linear(exact=True), torch.randn(3, 3)
    elbo, stl = (gradients(make(name), program, x, repeats=50)[:, 3:] for name in ("elbo", "stl"))
    assert stl.abs().max() < 1e-9
    assert elbo.std(0).min() > 0.1


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_every_objective_trains_every_kind_of_guide(objective, posterior, network):
    torch.set_default_dtype(torch.float32)
    vae, config = small_vae(objective=objective, posterior=posterior, network=network, particles=3, beta=0.5, epochs=1)
    before = {name: p.clone() for name, p in vae.named_parameters()}
    (record,) = fit(vae, small_data(pixels=config.pixels), config)
    assert math.isfinite(record["train"]["objective"])
    assert record["train"]["loss"] == pytest.approx(record["train"]["reconstruction"] + record["train"]["kl"])
    assert not [name for name, p in vae.named_parameters() if torch.equal(p, before[name])]


def test_a_setting_that_an_objective_refuses_is_told():
    torch.set_default_dtype(torch.float32)
    vae, config = small_vae(objective="renyi", alpha=1.0, particles=2)
    with pytest.raises(InputError, match="alpha: expected another number than 1"):
        fit(vae, small_data(pixels=config.pixels), config)


@pytest.mark.parametrize("objective", ["iwae", "renyi", "dreg"])
def test_one_particle_is_refused_where_particles_are_weighed(objective):
    torch.set_default_dtype(torch.float32)
    vae, config = small_vae(objective=objective)
    with pytest.raises(InputError, match="expects 2 or more"):
        fit(vae, small_data(pixels=config.pixels), config)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_given_its_particles(name):
    torch.set_default_dtype(torch.float32)
    vae, config = small_vae(objective=name, particles=3, alpha=0.3, free_bits=0.2)
    objective = fit(vae, small_data(pixels=config.pixels), config).svi.loss
    assert (objective.num_particles, objective.vectorize_particles, objective.max_plate_nesting) == (3, True, 2)
    assert objective.free_bits == 0.2
    assert getattr(objective, "alpha", 0.3) == 0.3


class Three(nn.Module):
    """Three latent dimensions, of KL about 0.005, 0.5 and 4.5, by whichever distributions; float64."""

    def __init__(self, prior=lambda: dist.Normal(torch.zeros(3), 1.0).to_event(1)):
        super().__init__()
        self.loc, self.prior = nn.Parameter(torch.tensor([0.1, 1.0, 3.0])), prior

    def model(self, x):
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(self, x):
        with pyro.plate("images", len(x)):
            pyro.sample("z", dist.Normal(self.loc.expand(len(x), 3), 1.0).to_event(1))

    @property
    def kl(self):
        return 0.5 * self.loc.detach().square()


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "mmd"])  # which draws from the prior besides
@pytest.mark.parametrize("particles", [1, 4])
@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_free_bits_add_what_is_missing_of_them(name, particles, beta):
    program, x = Three(), torch.randn(20_000, 3)
    weight = KLWeight(torch.tensor(beta))
    program.model, program.guide = weight(program.model), weight(program.guide)
    plain, free = (value(make(name, particles, free_bits=nats), program, x) for nats in (0.0, 0.7))
    by_hand = beta * (0.7 - program.kl).clamp(min=0).sum()
    assert (free - plain).item() / len(x) == pytest.approx(by_hand.item(), abs=0.05)


def test_under_its_free_bits_a_dimensions_kl_has_no_gradient():
    program, x = Three(), torch.zeros(4, 3)
    objective = make("analytic", 20_000, free_bits=0.7)
    (gradient,) = gradients(objective, program, x, repeats=1)
    reconstruction = 4 * program.loc.detach()  # of E (x − z)²/2
    kl = torch.tensor([0.0, 0.0, 4 * 3.0])
    torch.testing.assert_close(gradient, reconstruction + kl, rtol=0, atol=0.1)


@pytest.mark.parametrize(
    "prior",
    [
        lambda: dist.MultivariateNormal(torch.zeros(3), torch.eye(3)),
        lambda: dist.MixtureSameFamily(
            dist.Categorical(torch.ones(2)), dist.Normal(torch.zeros(2, 3), 1.0).to_event(1)
        ),
    ],
)
def test_dimensions_that_hang_together_share_their_free_bits(prior):
    program, x = Three(prior), torch.randn(20_000, 3)
    plain, free = (value(make("elbo", free_bits=nats), program, x) for nats in (0.0, 2.0))
    assert (free - plain).item() / len(x) == pytest.approx(3 * 2.0 - program.kl.sum().item(), abs=0.1)


@pytest.mark.parametrize("objective", ["elbo", "analytic", "stl"])
def test_free_bits_prevent_collapse(objective):
    torch.set_default_dtype(torch.float32)
    kl = {}
    for nats in (0.0, 1.0):
        config = Config(objective=objective, beta=30, free_bits=nats, epochs=20, lr=5e-3, device="cpu")
        data = load(config)
        *_, record = fit(build(config, data.shape), data, config)
        kl[nats] = record["train"]["kl"]
        assert record["train"]["loss"] == pytest.approx(record["train"]["reconstruction"] + record["train"]["kl"])
    assert kl[0.0] < 0.1
    assert 0.4 < kl[1.0] < 2.5


def test_free_bits_without_a_kl_are_refused():
    torch.set_default_dtype(torch.float32)
    vae, config = small_vae(posterior="delta", free_bits=0.5)
    with pytest.raises(InputError, match=r"free_bits: expected 0, as posterior 'delta' has no KL, got 0\.5"):
        fit(vae, small_data(pixels=config.pixels), config)


@pytest.mark.parametrize("posterior", ["full", "lowrank"])
def test_the_kl_of_a_gaussian_of_any_covariance_is_known(posterior):
    vae, _ = small_vae(posterior=posterior, latent_dim=3, pixels="threshold")
    q, p = vae.encode(torch.rand(5, 1, 8, 8)), vae.prior()
    exact, z = known_kl(q, p), q.sample((200_000,))
    draws = q.log_prob(z) - p.log_prob(z)
    assert ((exact - draws.mean(0)).abs() < 4 * draws.std(0) / math.sqrt(len(draws)) + 1e-4).all()


def test_the_known_kl_is_that_of_torch():
    lower = torch.tril(torch.randn(3, 3, dtype=torch.float64)) + 2 * torch.eye(3)
    q = dist.MultivariateNormal(torch.randn(3, dtype=torch.float64), scale_tril=lower)
    loc, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    torch_knows = torch.distributions.kl_divergence(q, dist.MultivariateNormal(loc, scale_tril=torch.diag(scale)))
    torch.testing.assert_close(known_kl(q, dist.Normal(loc, scale).to_event(1)), torch_knows)
    assert known_kl(q, dist.Laplace(loc, scale).to_event(1)) is None


def test_the_mmd_is_that_of_a_double_loop():
    a, b = torch.randn(6, 2), torch.randn(6, 2) + 1

    def kernel(u, v):
        scales = [4 * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
        return sum(c / (c + (u - v).square().sum()) for c in scales) / len(scales)

    within = sum(kernel(x[i], x[j]) for x in (a, b) for i in range(6) for j in range(6) if i != j) / 30
    between = sum(kernel(u, v) for u in a for v in b) / 36
    torch.testing.assert_close(squared_mmd(a, b), within - 2 * between)


def test_the_mmd_of_two_samples_of_one_distribution_is_zero_in_the_mean():
    same = torch.stack([squared_mmd(torch.randn(20, 3), torch.randn(20, 3)) for _ in range(500)])
    assert same.mean().abs() < 3 * same.std() / math.sqrt(500)
    assert squared_mmd(torch.randn(200, 3), torch.randn(200, 3) + 2) > 0.3


def test_the_mmd_holds_all_codes_to_the_prior():
    marginal = {}
    for weight in (0.0, 100.0):
        config = Config(objective="mmd", beta=0, mmd_weight=weight, epochs=15, device="cpu", lr=5e-3)
        data = load(config)
        vae = build(config, data.shape)
        for _ in fit(vae, data, config):
            pass
        marginal[weight] = report(vae, data)["marginal_kl"]
    assert marginal[100.0] < 0.5 * marginal[0.0]

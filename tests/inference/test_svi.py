import copy

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroSample
from support.builders import small_vae
from torch import nn

from pyrovae import SVI, InputError
from pyrovae.inference import choose_device
from pyrovae.inference.objectives import KLWeight, TraceELBO
from pyrovae.inference.optimizer import Update


def gradients(objective, vae, x, seed=1):
    torch.manual_seed(seed)
    vae.zero_grad()
    objective.differentiable_loss(vae.model, vae.guide, x).backward()
    return [p.grad.clone() for p in vae.parameters()]


@pytest.mark.parametrize("particles", [1, 4])
def test_loss_and_gradients_are_those_of_pyros_trace_elbo(particles):
    settings = {"num_particles": particles, "vectorize_particles": particles > 1, "max_plate_nesting": 1}
    vae, _ = small_vae()
    x = torch.rand(6, 1, 8, 8)
    ours, theirs = gradients(TraceELBO(**settings), vae, x), gradients(Trace_ELBO(**settings), vae, x)
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other)


def test_a_guide_without_reparameterisation_gets_pyros_score_function():
    class Coin(PyroModule):
        def __init__(self):
            super().__init__()
            self.logit = nn.Parameter(torch.tensor(0.3))

        def model(self, x):
            with pyro.plate("data", len(x)):
                side = pyro.sample("side", dist.Bernoulli(0.5))
                pyro.sample("x", dist.Normal(side, 1.0), obs=x)

        def guide(self, x):
            with pyro.plate("data", len(x)):
                pyro.sample("side", dist.Bernoulli(logits=self.logit.expand(len(x))))

    coin, x = Coin(), torch.randn(50)
    ours = gradients(TraceELBO(max_plate_nesting=1), coin, x)
    theirs = gradients(Trace_ELBO(max_plate_nesting=1), coin, x)
    torch.testing.assert_close(ours, theirs)
    assert ours[0] != 0


def test_terms_take_the_loss_apart_by_site():
    vae, _ = small_vae()
    elbo = TraceELBO(max_plate_nesting=1)
    x = torch.rand(6, 1, 8, 8)
    loss = elbo.differentiable_loss(vae.model, vae.guide, x)
    assert set(elbo.terms) == {"x", "z"}
    assert sum(elbo.terms.values()).item() == pytest.approx(loss.item(), rel=1e-6)
    assert loss.requires_grad
    assert not elbo.terms["x"].requires_grad


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0, 4.0])
def test_a_kl_weight_scales_the_site_z_and_leaves_the_terms(beta):
    vae, _ = small_vae()
    weight, elbo = KLWeight(beta), TraceELBO(max_plate_nesting=1)
    loss = elbo.differentiable_loss(weight(vae.model), weight(vae.guide), torch.rand(6, 1, 8, 8))
    assert elbo.terms["z"] != 0
    assert loss.item() == pytest.approx((elbo.terms["x"] + beta * elbo.terms["z"]).item(), rel=1e-6)


def test_without_a_density_the_site_z_is_out():
    vae, _ = small_vae(posterior="delta")
    weight, elbo = KLWeight(None), TraceELBO(max_plate_nesting=1)
    loss = elbo.differentiable_loss(weight(vae.model), weight(vae.guide), torch.rand(6, 1, 8, 8))
    assert elbo.terms["z"] == 0
    assert loss == elbo.terms["x"]


def test_two_models_in_one_process_both_train():
    x = torch.zeros(64, 1, 8, 8)
    x[..., 4:] = 1
    for vae in (small_vae()[0], small_vae(seed=1)[0]):
        svi = SVI(vae.model, vae.guide, torch.optim.Adam(vae.parameters(), lr=0.02, fused=True), TraceELBO())
        losses = [svi.step(x).item() for _ in range(60)]
        assert losses[-1] < 0.5 * losses[0]


def test_evaluate_loss_moves_nothing():
    vae, _ = small_vae(network="conv")
    optim = torch.optim.Adam(vae.parameters(), lr=0.01)
    svi = SVI(vae.model, vae.guide, optim, TraceELBO())
    x = torch.rand(8, 1, 8, 8)
    svi.step(x)
    weights = [p.clone() for p in vae.parameters()]
    moments = [state["exp_avg"].clone() for state in optim.state.values()]
    loss = svi.evaluate_loss(x)
    assert not loss.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(weights, vae.parameters()))
    assert all(torch.equal(a, state["exp_avg"]) for a, state in zip(moments, optim.state.values()))


def test_a_loss_is_never_read_from_the_device(monkeypatch):
    """No .item() in a step after the first, which Pyro validates."""
    vae, _ = small_vae()
    optim = torch.optim.Adam(vae.parameters(), fused=True)
    svi = SVI(vae.model, vae.guide, optim, TraceELBO(max_plate_nesting=1))
    x = torch.rand(8, 1, 8, 8)
    svi.step(x)
    reads = []
    for name in ("item", "tolist", "__bool__", "__float__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, *a, _o=original, _n=name: (reads.append(_n), _o(self, *a))[1]
        )
    svi.step(x)
    assert not reads


def test_any_pyro_program_trains():
    """A Bayesian regression with an autoguide: nothing here knows of a VAE."""

    class Regression(PyroModule):
        def __init__(self):
            super().__init__()
            self.slope = PyroSample(dist.Normal(0.0, 10.0))

        def forward(self, x, y):
            slope = self.slope
            with pyro.plate("data", len(x)):
                return pyro.sample("y", dist.Normal(slope * x, 0.1), obs=y)

    with pyro.settings.context(module_local_params=True):
        model = Regression()
        guide = AutoNormal(model)
        x = torch.linspace(-1, 1, 100)
        y = 2.5 * x + 0.1 * torch.randn(100)
        guide(x, y)
        svi = SVI(model, guide, torch.optim.Adam(guide.parameters(), lr=0.05), TraceELBO())
        losses = [svi.step(x, y) for _ in range(400)]
        assert losses[-1] < losses[0]
        assert guide.median()["slope"].item() == pytest.approx(2.5, abs=0.1)


def test_a_misnamed_guide_site_is_told():
    vae, _ = small_vae()

    def guide(x, y=None):
        with pyro.plate("images", len(x)):
            pyro.sample("zed", vae.posterior(vae.encoder(x)))

    svi = SVI(vae.model, guide, torch.optim.Adam(vae.parameters()), TraceELBO())
    with pytest.warns(UserWarning, match="zed"), pytest.warns(UserWarning, match="{'z'}"):
        svi.step(torch.rand(4, 1, 8, 8))


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="CUDA"):
        choose_device("cuda:99")


def test_an_update_is_the_optimizers_own_step():
    """Bit for bit, also after its state was saved and loaded, and with a parameter that has no gradient once."""
    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(5)]
    mine, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    adams = [torch.optim.Adam(parameters, lr=0.1, weight_decay=0.01, fused=True) for parameters in (mine, theirs)]
    update = Update(adams[0])
    for step in range(12):
        gradients = [torch.randn_like(tensor) for tensor in start]
        if step == 3:
            gradients[0] = None
        if step == 7:
            adams[0].load_state_dict(copy.deepcopy(adams[0].state_dict()))
        for group in (adam.param_groups[0] for adam in adams):
            group["lr"] = 0.1 / (1 + step)
        update([None if gradient is None else gradient.clone() for gradient in gradients], torch.ones(()))
        for parameter, gradient in zip(theirs, gradients):
            parameter.grad = gradient
        adams[1].step()
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs))
        for a, b in zip(mine, theirs):
            assert all(torch.equal(value, adams[1].state[b][name]) for name, value in adams[0].state[a].items())

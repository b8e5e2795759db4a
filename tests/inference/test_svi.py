"""SVI: one step of stochastic variational inference, of VAEs and of any other Pyro program."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroSample
from support.builders import small_vae

from pyrovae import SVI
from pyrovae.inference.objectives import TraceELBO


def test_two_models_train_one_after_another_in_one_process():
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


def test_a_step_reads_no_value_from_the_device(monkeypatch):
    """A step, but for the first one, which Pyro validates, calls neither .item() nor its like."""
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
    """Here a Bayesian regression with an autoguide."""

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


def test_a_guide_site_that_the_model_lacks_is_warned_of():
    vae, _ = small_vae()

    def guide(x, y=None):
        with pyro.plate("images", len(x)):
            pyro.sample("zed", vae.posterior(vae.encoder(x)))

    svi = SVI(vae.model, guide, torch.optim.Adam(vae.parameters()), TraceELBO())
    with pytest.warns(UserWarning, match="zed"), pytest.warns(UserWarning, match="{'z'}"):
        svi.step(torch.rand(4, 1, 8, 8))

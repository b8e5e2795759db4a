"""The training step: clipped gradients, and compiling that leaves no trace."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae
from torch import nn

from pyrovae import SVI, fit
from pyrovae.inference.objectives import TraceELBO


def fitting_of(**settings):
    vae, config = small_vae(seed=3, **settings)
    return fit(vae, small_data(pixels=config.pixels), config)


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_are_scaled_down_to_the_norm(compiled):
    """With gradient descent at rate 1, the step has the length of the clipped gradient."""

    def model(x):
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x)

    x, moved = torch.full((5,), 3.0), []
    for clip in (0.0, 0.5, 100.0):
        loc = nn.Parameter(torch.zeros(()))
        svi = SVI(model, lambda x: None, torch.optim.SGD([loc], lr=1.0), TraceELBO(), grad_clip=clip)
        if compiled:
            svi.compile(x)
        svi.step(x)
        moved.append(loc.item())
    assert moved == pytest.approx([15.0, 0.5, 15.0], rel=1e-4)


def test_gradients_are_clipped_as_torch_clips_them():
    mine, other = fitting_of(grad_clip=0.1), fitting_of()
    rows = torch.arange(16)
    torch.manual_seed(0)
    mine.svi.step(rows)
    torch.manual_seed(0)
    _, *gradients = other.svi.gradients(rows)
    for parameter, gradient in zip(other.svi.update.parameters, gradients):
        parameter.grad = gradient
    norm = torch.nn.utils.clip_grad_norm_(other.svi.update.parameters, 0.1)
    assert norm > 0.1
    other.svi.optim.step()
    for name, tensor in mine.vae.state_dict().items():
        torch.testing.assert_close(tensor, other.vae.state_dict()[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fails", [False, True])
def test_compiling_changes_neither_weights_nor_sums_nor_random_numbers(fails, monkeypatch):
    fitting = fitting_of(network="conv", pixels="dynamic", epochs=1)
    next(iter(fitting))
    step = fitting.training_step
    before = {name: tensor.clone() for name, tensor in fitting.vae.state_dict().items()}
    sums, state = step.total.sums.clone(), torch.get_rng_state()

    def compile_or_fail(rows):
        fitting.svi.step(rows)  # moves weights, statistics and sums
        torch.rand(1)
        if fails:
            raise ValueError("no compiler")

    monkeypatch.setattr(fitting.svi, "compile", compile_or_fail)
    if fails:
        with pytest.warns(UserWarning, match="compile: steps are taken one operation at a time: no compiler"):
            assert not step.compile(torch.arange(16))
    else:
        assert step.compile(torch.arange(16))
    assert all(torch.equal(tensor, before[name]) for name, tensor in fitting.vae.state_dict().items())
    assert torch.equal(step.total.sums, sums)
    assert torch.equal(torch.get_rng_state(), state)

"""The fused and the written-out Adam, against torch's own."""

import copy

import torch

from pyrovae import SVI
from pyrovae.inference.objectives import TraceELBO


def adams(regression, lr=0.05):
    """Return the SVI of two equal programs, each with an Adam of its own: an eager one and a compiled one."""
    program, x, y = regression
    svis = []
    for each in (program, copy.deepcopy(program)):
        adam = torch.optim.Adam(each.parameters(), lr=lr, fused=True)
        svis.append(SVI(each.model, each.guide, adam, TraceELBO(), validate=False))
    svis[1].compile(x, y)
    return svis, x, y


def state_of(svi):
    """Copy all parameters, and all tensors of the optimizer's state."""
    parameters = svi.update.parameters
    state = [value for parameter in parameters for value in svi.optim.state[parameter].values()]
    return [tensor.detach().clone() for tensor in (*parameters, *state)]


def test_a_compiled_step_equals_torchs_adam_to_nine_digits(regression):
    """Also while the learning rate changes, and after a state was loaded."""
    svis, x, y = adams(regression)
    for step in range(12):
        for svi in svis:
            svi.optim.param_groups[0]["lr"] = 0.05 / (1 + step)
            if step == 6:
                svi.optim.load_state_dict(copy.deepcopy(svi.optim.state_dict()))
            torch.manual_seed(step)
            svi.step(x, y)
        torch.testing.assert_close(*map(state_of, svis), rtol=1e-9, atol=1e-12)
    assert svis[1].update.parameters[0].grad is None
    another = torch.optim.Adam([parameter.detach().clone() for parameter in svis[0].update.parameters], fused=True)
    another.load_state_dict(svis[1].optim.state_dict())  # a state that torch's own Adam can load
    assert all(state["step"] == 12 for state in another.state.values())


def test_compiling_moves_neither_weights_nor_optimizer_state(regression):
    program = regression[0]
    before = [parameter.detach().clone() for parameter in program.parameters()]
    (_, svi), *_ = adams(regression)
    after = state_of(svi)
    torch.testing.assert_close(after[: len(before)], before, rtol=0, atol=0)
    assert not any(tensor.any() for tensor in after[len(before) :])


def test_after_a_loss_that_is_not_finite_compiled_steps_move_nothing(regression):
    (_, svi), x, y = adams(regression)
    svi.step(x, y)
    before = state_of(svi)
    svi.step(x, y * torch.nan)
    svi.step(x, y)  # neither this step moves anything
    assert svi.update.failed
    torch.testing.assert_close(state_of(svi), before, rtol=0, atol=0)

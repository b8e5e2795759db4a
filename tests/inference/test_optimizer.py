"""An update, against the optimizer's own step."""

import copy

import torch
from torch import nn

from pyrovae.inference.optimizer import Update


def test_an_update_equals_the_optimizers_own_step():
    """Bit for bit, also after a state was loaded, and in a step without a gradient for one of the parameters."""
    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(5)]
    updated, stepped = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    adams = [torch.optim.Adam(parameters, lr=0.1, weight_decay=0.01, fused=True) for parameters in (updated, stepped)]
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
        for parameter, gradient in zip(stepped, gradients):
            parameter.grad = gradient
        adams[1].step()
        assert all(torch.equal(a, b) for a, b in zip(updated, stepped))
        for a, b in zip(updated, stepped):
            assert all(torch.equal(value, adams[1].state[b][name]) for name, value in adams[0].state[a].items())

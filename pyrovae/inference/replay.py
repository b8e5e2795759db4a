"""A whole step as one CUDA graph."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM = 3  # runs before the capture, in which libraries choose their kernels and set up their workspaces


class Replay:
    """`step(*args)`, an optimizer's update included, recorded once and from then on launched as one CUDA graph.

    Random numbers go on from replay to replay, as from step to step. The runs that precede the recording leave the
    optimizer's parameters and state as they were. The optimizer is one with `capturable=True`, its learning rate a
    tensor, if it is to change.
    """

    def __init__(self, step: Callable[..., Tensor], optim: torch.optim.Optimizer, *args: Tensor) -> None:
        self.inputs = [tensor.clone() for tensor in args]
        moved = [*_parameters(optim), *_state(optim)]
        held = [tensor.detach().clone() for tensor in moved]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                step(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = step(*self.inputs)
        with torch.no_grad():
            for tensor, value in zip(moved, held):
                tensor.copy_(value)

    def __call__(self, *args: Tensor) -> Tensor:
        for mine, given in zip(self.inputs, args):
            mine.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.output.clone()  # the next replay writes to where this one wrote


def can_replay(optim: torch.optim.Optimizer, *args: Any) -> bool:
    tensors = [*args, *_parameters(optim)]
    return all(getattr(tensor, "is_cuda", False) for tensor in tensors) and bool(optim.defaults.get("capturable"))


def _parameters(optim: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optim.param_groups for parameter in group["params"]]


def _state(optim: torch.optim.Optimizer) -> list[Tensor]:
    """The tensors of its state; if there are none yet, what they are before its first step, which is zero."""
    if not optim.state:
        for parameter in _parameters(optim):
            parameter.grad = torch.zeros_like(parameter)
        optim.step()  # by nothing, as all gradients are zero
        optim.zero_grad()
        for tensor in _tensors(optim):
            tensor.zero_()
    return _tensors(optim)


def _tensors(optim: torch.optim.Optimizer) -> list[Tensor]:
    return [value for state in optim.state.values() for value in state.values() if isinstance(value, Tensor)]

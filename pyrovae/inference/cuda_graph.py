"""A whole step as one CUDA graph."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM = 3  # runs before the capture, in which libraries choose their kernels and set up their workspaces


class Replay:
    """`step(*args)`, an optimizer's update included, recorded once and from then on launched as one CUDA graph.

    Random numbers go on from replay to replay, as from step to step. The optimizer is one with `capturable=True`, its
    learning rate a tensor, if it is to change. Some steps are taken before the recording.
    """

    def __init__(self, step: Callable[..., Tensor], *args: Tensor) -> None:
        self.inputs = [tensor.clone() for tensor in args]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                step(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = step(*self.inputs)

    def __call__(self, *args: Tensor) -> Tensor:
        for mine, given in zip(self.inputs, args):
            mine.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.output.clone()  # the next replay writes to where this one wrote


def can_replay(optim: torch.optim.Optimizer, *args: Any) -> bool:
    parameters = [parameter for group in optim.param_groups for parameter in group["params"]]
    on_cuda = all(getattr(tensor, "is_cuda", False) for tensor in (*args, *parameters))
    return on_cuda and bool(optim.defaults.get("capturable"))

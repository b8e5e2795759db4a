"""A whole optimizer step as one CUDA graph."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM = 3  # steps before the recording, in which CUDA's libraries choose their kernels and allocate their workspaces


class Replay:
    """Records `step(*args)`, with the optimizer's update, as one CUDA graph, and launches that at every call.

    Random numbers continue from one replay to the next. The optimizer has to be made with `capturable=True`, and with
    its learning rate in a tensor if that is to change. Before the recording, `WARM` steps are taken: undo them if they
    should not count.
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
        """Take the recorded step on arguments of the recorded shapes, and return its loss."""
        for recorded, arg in zip(self.inputs, args):
            recorded.copy_(arg, non_blocking=True)
        self.graph.replay()
        return self.output.clone()  # the next replay overwrites this tensor


def can_replay(optim: torch.optim.Optimizer, *args: object) -> bool:
    """Return whether a step can be recorded: all tensors on CUDA, and an optimizer made with `capturable=True`."""
    parameters = [parameter for group in optim.param_groups for parameter in group["params"]]
    on_cuda = all(getattr(tensor, "is_cuda", False) for tensor in (*args, *parameters))
    return on_cuda and bool(optim.defaults.get("capturable"))

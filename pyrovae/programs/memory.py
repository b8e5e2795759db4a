"""Whether a model fits in memory: asked before any is touched."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pyrovae.data.storage import memory
from pyrovae.errors import InputError

COPIES = 4  # of each weight in training: itself, its gradient, and Adam's two moments
LOWER = {
    "encoder": "--hidden or --image-size",
    "decoder": "--hidden, --latent-dim or --image-size",
    "prior": "--components or --latent-dim",
    "posterior": "--latent-dim or --hidden",
}
ANY = "--hidden, --latent-dim, --components, --image-size or, in training, --batch-size or --particles"
TOO_LARGE = r"alloc|out of memory|overflow"  # in the words of torch, for sizes that no machine has


def sized(make: Callable[[], nn.Module]) -> nn.Module | None:
    """What `make` returns, of tensors that have a shape and no memory; None if that cannot be."""
    try:
        with torch.device("meta"), _Unknown(), allocation_refused():
            return make()
    except InputError:
        raise
    except Exception:  # what is wrong shows when it is made in memory
        return None


def expect_room(model: nn.Module, device: str) -> None:
    """Raise InputError if the weights of `model`, their gradients and moments are more than the memory."""
    needs = {
        name: COPIES * _nbytes(part.parameters()) + _nbytes(part.buffers()) for name, part in model.named_children()
    }
    need, most = sum(needs.values()), max(needs, key=needs.__getitem__)
    places = {"memory": memory(torch.device("cpu"))}
    if device != "cpu" and torch.cuda.is_available():  # where it is trained; made it is here
        places = {"memory": COPIES * places["memory"], "CUDA memory": memory(torch.device("cuda"))}
    for place, room in places.items():
        if need > room:
            raise InputError(
                f"model: expected weights, gradients and Adam's moments of at most {room / 1e9:,.1f} GB, the {place},"
                f" got {need / 1e9:,.1f} GB, most of it the {most}'s; lower {LOWER.get(most, ANY)}"
            )


@contextmanager
def allocation_refused() -> Iterator[None]:
    """Whatever asks for more memory than there is becomes InputError."""
    try:
        yield
    except (RuntimeError, TypeError, MemoryError, OverflowError) as error:
        if not isinstance(error, MemoryError | OverflowError) and not re.search(TOO_LARGE, str(error), re.IGNORECASE):
            raise
        asked = re.search(r"allocate (\d+) bytes", str(error))
        came = f"one that asks for {int(asked[1]) / 1e9:,.1f} GB more" if asked else "one that asks for far more"
        raise InputError(f"model: expected one that fits in memory, got {came}; lower {ANY}") from None


def _nbytes(tensors: Iterator[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class _Unknown(TorchFunctionMode):
    """A tensor without memory has no values; Pyro's flows ask for some, to cut their outputs into parts."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return 1 if func is torch.Tensor.item else func(*args, **(kwargs or {}))

"""Build a model only if it fits in memory, and say which setting to lower if it does not."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pyrovae.data.storage import memory
from pyrovae.errors import InputError

M = TypeVar("M", bound=nn.Module)
COPIES = 4  # a weight takes this many numbers in training: itself, its gradient, Adam's two moments
LOWER = {
    "encoder": "--hidden or --image-size",
    "decoder": "--hidden, --latent-dim or --image-size",
    "prior": "--components or --latent-dim",
    "posterior": "--latent-dim or --hidden",
}
ANY = "--hidden, --latent-dim, --components, --image-size or, in training, --batch-size or --particles"
TOO_LARGE = r"alloc|out of memory|overflow"  # occurs in the messages of torch's errors about sizes that no machine has


def built_in_memory(make: Callable[[], M], device: str, rehearse: bool) -> M:
    """Return the model that `make` returns, if it can be trained on `device`; else raise `InputError`.

    To `rehearse`, `make` is first called on the meta device, where tensors have a shape but no memory, so that a model
    that is too large is refused before it allocates any. Leave that out for a user's own class, which may do anything.
    """
    if rehearse and (shapes := on_meta(make)) is not None:
        expect_room(shapes, device)
    with allocation_refused():
        model = make()
    expect_room(model, device)
    return model


def on_meta(make: Callable[[], M]) -> M | None:
    """Return the model with tensors on the meta device, or None if it cannot be made there."""
    try:
        with torch.device("meta"), _ItemIsOne(), allocation_refused():
            return make()
    except InputError:
        raise
    except Exception:  # if something is wrong, making it in memory shows what
        return None


def expect_room(model: nn.Module, device: str) -> None:
    """Raise `InputError` if the weights of `model`, their gradients and Adam's moments exceed the memory."""
    needs = {
        name: COPIES * _nbytes(part.parameters()) + _nbytes(part.buffers()) for name, part in model.named_children()
    }
    need, most = sum(needs.values()), max(needs, key=needs.__getitem__)
    places = {"memory": memory(torch.device("cpu"))}
    if device != "cpu" and torch.cuda.is_available():  # the CPU only holds the weights, where they are made
        places = {"memory": COPIES * places["memory"], "CUDA memory": memory(torch.device("cuda"))}
    for place, size in places.items():
        if need > size:
            raise InputError(
                f"model: expected weights, gradients and Adam's moments of at most {size / 1e9:,.1f} GB, the {place},"
                f" got {need / 1e9:,.1f} GB, most of it the {most}'s; lower {LOWER.get(most, ANY)}"
            )


@contextmanager
def allocation_refused() -> Iterator[None]:
    """Raise `InputError` instead of the errors of torch and Python for tensors that do not fit in memory."""
    try:
        yield
    except (RuntimeError, TypeError, MemoryError, OverflowError) as error:
        if not isinstance(error, MemoryError | OverflowError) and not re.search(TOO_LARGE, str(error), re.IGNORECASE):
            raise
        size = re.search(r"allocate (\d+) bytes", str(error))
        got = f"one that asks for {int(size[1]) / 1e9:,.1f} GB more" if size else "one that asks for far more"
        raise InputError(f"model: expected one that fits in memory, got {got}; lower {ANY}") from None


def _nbytes(tensors: Iterator[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class _ItemIsOne(TorchFunctionMode):
    """Lets `Tensor.item` return 1: Pyro's flows read how to split their outputs, and a meta tensor has no values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return 1 if func is torch.Tensor.item else func(*args, **(kwargs or {}))

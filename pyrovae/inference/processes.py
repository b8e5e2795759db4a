"""Several processes, one training: each takes its rows of every batch, and all take the same step."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, distributed
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from pyrovae.errors import InputError


class Lost(RuntimeError):
    """Another process of this training has ended, or cannot be reached."""


@contextmanager
def joined(device: torch.device, patience: timedelta = timedelta(minutes=10)) -> Iterator[None]:
    """Inside, the processes that `torchrun` started are one training; a process that it did not start is alone.

    They speak by NCCL on CUDA, where each has a device of its own, and by gloo elsewhere. `patience` is how long one
    waits for another. Raises `InputError` where a machine has fewer CUDA devices than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    if device.type == "cuda":
        local, devices = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if local > devices:
            raise InputError(f"device: expected a CUDA device for each of {local} processes, got {devices}")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Its functions have the process group for a default argument. Imported later, as by torch's compiler, they would
    # keep the group and its threads alive until Python ends, and a thread that still frees a tensor then aborts.
    import_module("torch.distributed.nn.functional")
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=patience)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0; the first one writes and speaks for all."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def summed(*tensors: Tensor | None) -> list[Any]:
    """Each tensor summed over all processes, by one message; what is None stays so."""
    if size() == 1:
        return [*tensors]
    given = [tensor for tensor in tensors if tensor is not None]
    flat = torch.cat([tensor.flatten() for tensor in given])
    _sent(distributed.all_reduce, flat)
    parts = iter(flat.split([tensor.numel() for tensor in given]))
    return [None if tensor is None else next(parts).view_as(tensor) for tensor in tensors]


def as_the_first(tensors: Iterable[Tensor]) -> None:
    """Set the tensors to those of the first process."""
    if size() > 1:
        for tensor in tensors:
            _sent(distributed.broadcast, tensor, 0)


def wait_for_all() -> None:
    if size() > 1:
        _sent(distributed.barrier)


def _sent(send: Callable[..., Any], *args: Any) -> None:
    try:
        send(*args)
    except RuntimeError as error:
        cause = re.sub(r"^\[.*?\] ", "", str(error)).partition(". ")[0]
        raise Lost(f"lost another process of this training ({cause})") from error


class Share:
    """The part of each batch that is this process's: `rows` of it, and `drawn` on a program that is run on those rows.

    The random numbers of the program are those of the whole batch, as one process alone would draw them, so that how
    many processes there are changes a training by rounding alone. What mixes the images of a batch, as batch
    normalisation does, mixes those of the share.
    """

    def __init__(self, particles: int = 1) -> None:
        self.particles = particles
        self.start = self.n = self.whole = 0

    def rows(self, n: int) -> slice:
        """Of a batch of n: parts of all processes follow each other, and differ by one row at most."""
        ends = [n * k // size() for k in (rank(), rank() + 1)]
        self.start, self.n, self.whole = ends[0], ends[1] - ends[0], n
        return slice(*ends)

    def drawn(self, program: Callable[..., Any]) -> Callable[..., Any]:
        """`program`, its random numbers those of the whole batch."""
        if size() == 1:
            return program

        @wraps(program)
        def run(*args: Any, **kwargs: Any) -> Any:
            with _DrawnWhole(self):
                return program(*args, **kwargs)

        return run


class _DrawnWhole(TorchDispatchMode):
    """Draws for all rows of a batch, and keeps those of a share.

    A tensor with as many rows as the share, behind the particles if there are some, is one of the batch. A draw whose
    parameters differ between rows is made for the rows of others, which are not known here, with parameters of these.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share = share

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        dims = [] if torch.Tag.nondeterministic_seeded not in func.tags else [*map(self._dim, args)]
        dim = next((dim for dim in dims if dim is not None), None)
        if dim is None:
            return func(*args, **kwargs)
        drawn = func(*map(self._widened, args), **kwargs)
        kept = tree_map(lambda x: x.narrow(dim, self.share.start, self.share.n) if isinstance(x, Tensor) else x, drawn)
        return args[0].copy_(kept) if func._schema.is_mutable else kept

    def _dim(self, arg: Any) -> int | None:
        """Which dimension of a tensor, or of a size, are the rows."""
        if not isinstance(arg, (Tensor, list, tuple)):
            return None
        shape, share = [*(arg.shape if isinstance(arg, Tensor) else arg)], self.share
        if share.particles > 1 and shape[:2] == [share.particles, share.n]:
            return 1
        return 0 if shape[:1] == [share.n] else None

    def _widened(self, arg: Any) -> Any:
        dim, share = self._dim(arg), self.share
        if dim is None:
            return arg
        if not isinstance(arg, Tensor):
            return [*arg[:dim], share.whole, *arg[dim + 1 :]]
        return arg.index_select(dim, torch.arange(share.whole, device=arg.device) % share.n)

"""One training by several processes: each takes its rows of every batch, and all take the same optimizer step."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, distributed

from pyrovae.errors import InputError, whole_from_environment
from pyrovae.inference.meeting import PATIENCE, Lost, meeting, place
from pyrovae.inference.private import OpOverload, TorchDispatchMode, is_mutable, tree_map

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def joined(device: torch.device, patience: timedelta = PATIENCE) -> Iterator[None]:
    """Join the processes that `torchrun` started into one training; a process started otherwise stays alone.

    They communicate by NCCL on CUDA, where each has a device of its own, and by gloo elsewhere. A process waits for
    another as long as `patience`. Raises `InputError` if a machine has fewer CUDA devices than processes, if the
    processes cannot meet, or if their devices are of several kinds; one that is raised inside reaches all processes.
    """
    number, processes = place()
    if processes < 2:
        yield
        return
    met = meeting()
    try:
        if device.type == "cuda":
            _take_own_device()
        met.expect_same({"WORLD_SIZE": str(processes), "device": device.type}, patience)
        # Its functions have the process group for a default argument. Imported later, as by torch's compiler, they
        # would keep the group and its threads alive until Python ends, and a thread that still frees a tensor aborts.
        import_module("torch.distributed.nn.functional")
        backend = "nccl" if device.type == "cuda" else "gloo"
        start = partial(distributed.init_process_group, backend, timeout=patience, store=next(met.groups))
        _send(partial(start, rank=number, world_size=processes))
        try:
            yield
        finally:
            distributed.destroy_process_group()
    except InputError as error:
        met.fail(str(error))
        raise


def _take_own_device() -> None:
    local, devices = whole_from_environment("LOCAL_WORLD_SIZE", 1), torch.cuda.device_count()
    if local > devices:
        raise InputError(f"device: expected a CUDA device for each of {local} processes, got {devices}")
    torch.cuda.set_device(whole_from_environment("LOCAL_RANK", 0, local - 1))


def expect_same(**texts: object) -> None:
    """Wait for all processes, and raise `InputError` in all of them if a text is not the same in each, or if one fails.

    The message names the text, and says what the processes have.
    """
    if size() > 1:
        meeting().expect_same({name: str(text) for name, text in texts.items()})


def size() -> int:
    """Return the number of processes of this training."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0. Process 0 alone writes files and prints."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def summed(*tensors: Tensor | None) -> list[Any]:
    """Return each tensor summed over all processes, by a single message; None stays None."""
    if size() == 1:
        return [*tensors]
    present = [tensor for tensor in tensors if tensor is not None]
    flat = torch.cat([tensor.flatten() for tensor in present])
    _send(distributed.all_reduce, flat)
    parts = iter(flat.split([tensor.numel() for tensor in present]))
    return [None if tensor is None else next(parts).view_as(tensor) for tensor in tensors]


def as_the_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite the tensors of all processes with those of process 0."""
    if size() > 1:
        for tensor in tensors:
            _send(distributed.broadcast, tensor, 0)


def _send(collective: Callable[..., object], *args: object) -> None:
    try:
        collective(*args)
    except RuntimeError as error:
        cause = re.sub(r"^\[.*?\] ", "", str(error)).partition(". ")[0]
        raise Lost(f"lost another process of this training ({cause})") from error


class Share:
    """The part of each batch that this process takes: `rows` selects it, and a program wrapped by `drawn` runs on it.

    The program's random numbers are those that one process alone would draw for the whole batch, so that the number of
    processes changes a training by rounding only. What mixes the rows of a batch, such as batch normalisation, mixes
    those of the share.
    """

    def __init__(self, particles: int = 1) -> None:
        self.particles = particles
        self.start = self.n = self.whole = 0  # of the last batch: the share's first row, its rows, and all rows

    def rows(self, n: int) -> slice:
        """Return this process's rows of a batch of n. The processes' shares differ by at most one row."""
        start, end = (n * k // size() for k in (rank(), rank() + 1))
        self.start, self.n, self.whole = start, end - start, n
        return slice(start, end)

    def drawn(self, program: Callable[P, T]) -> Callable[P, T]:
        """Wrap `program` so that it draws random numbers for the whole batch and keeps those of this share."""
        if size() == 1:
            return program

        @wraps(program)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with _WholeBatchDraws(self):
                return program(*args, **kwargs)

        return run


class _WholeBatchDraws(TorchDispatchMode):
    """Draws random numbers for all rows of a batch, and keeps those of a share.

    A tensor belongs to the batch if it has as many rows as the share, after the particles if there are several. The
    parameters of other processes' rows are not known here: their draws, which are not kept, use the share's instead.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share = share

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        dims = [] if torch.Tag.nondeterministic_seeded not in func.tags else [*map(self._row_dim, args)]
        dim = next((dim for dim in dims if dim is not None), None)
        if dim is None:
            return func(*args, **kwargs)
        drawn = func(*map(self._widened, args), **kwargs)
        kept = tree_map(lambda x: x.narrow(dim, self.share.start, self.share.n) if isinstance(x, Tensor) else x, drawn)
        return args[0].copy_(kept) if is_mutable(func) else kept

    def _row_dim(self, arg: object) -> int | None:
        """Return which dimension of a tensor or a size the rows of the batch are, or None."""
        if not isinstance(arg, (Tensor, list, tuple)):
            return None
        shape, share = [*(arg.shape if isinstance(arg, Tensor) else arg)], self.share
        if share.particles > 1 and shape[:2] == [share.particles, share.n]:
            return 1
        return 0 if shape[:1] == [share.n] else None

    def _widened(self, arg: Any) -> object:
        """Return an argument with as many rows as the whole batch."""
        dim, share = self._row_dim(arg), self.share
        if dim is None:
            return arg
        if not isinstance(arg, Tensor):
            return [*arg[:dim], share.whole, *arg[dim + 1 :]]
        return arg.index_select(dim, torch.arange(share.whole, device=arg.device) % share.n)

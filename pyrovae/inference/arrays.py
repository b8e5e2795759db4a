"""Lets methods take arrays of numpy, and return them; and take many rows, a batch of them at a time."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import pyro.distributions as dist
import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., object])
BATCH = 1000  # images, codes or rows at once, at most

# The arguments, each with a row for every image, that make a distribution of a batch of images.
ARGUMENTS: dict[type, tuple[str, ...]] = {
    dist.Normal: ("loc", "scale"),
    dist.LowRankMultivariateNormal: ("loc", "cov_factor", "cov_diag"),
    dist.MultivariateNormal: ("loc", "scale_tril"),
    dist.Delta: ("v",),
}


def numpy_for_numpy(method: F) -> F:
    """Turn arrays among a method's arguments into tensors, and tensors that it then returns into arrays.

    Floats become the dtype of the module's parameters, and whole numbers int64.
    """

    @wraps(method)
    def run(module: nn.Module, *args: object, **kwargs: object) -> object:
        values = [*args, *kwargs.values()]
        if not any(isinstance(value, np.ndarray) for value in values):
            return method(module, *args, **kwargs)
        dtype = next(module.parameters()).dtype

        def tensor(value: object) -> object:
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
                return value
            return torch.from_numpy(np.array(value)).to(dtype if value.dtype.kind == "f" else torch.long)

        result = method(module, *map(tensor, args), **{name: tensor(value) for name, value in kwargs.items()})
        return result.cpu().numpy() if isinstance(result, Tensor) else result

    return run  # type: ignore[return-value]


def in_batches(method: F) -> F:
    """Call a method for at most `BATCH` rows of its tensors at a time, and put what it returns together.

    So the memory that its networks take does not grow with the number of rows. The method returns a tensor with a row
    for each, or a distribution; one that `joined` cannot put together is that of all rows at once.
    """

    @wraps(method)
    def run(module: nn.Module, *args: object, **kwargs: object) -> object:
        counts = {len(value) for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.dim()}
        if len(counts) != 1 or max(counts) <= BATCH:  # of different numbers of rows the method says what is wrong
            return method(module, *args, **kwargs)

        def part(value: object, rows: slice) -> object:
            if isinstance(value, dict):  # values by name, one for all rows or one for each
                return {name: each[rows] if np.ndim(each) else each for name, each in value.items()}
            return value[rows] if isinstance(value, Tensor) and value.dim() else value

        results: list[object] = []
        for start in range(0, max(counts), BATCH):
            rows = slice(start, start + BATCH)
            named = {name: part(value, rows) for name, value in kwargs.items()}
            results.append(method(module, *(part(value, rows) for value in args), **named))
            if joined(results[:1]) is None:
                return method(module, *args, **kwargs)
        return joined(results)

    return run  # type: ignore[return-value]


def joined(parts: Sequence[Any]) -> Any:
    """Return tensors, or distributions of `ARGUMENTS`, one after another as one; None for other distributions."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat([*parts])
    if isinstance(first, dist.Independent) and len(first.batch_shape) == 1:
        base = joined([part.base_dist for part in parts])
        return None if base is None else base.to_event(first.reinterpreted_batch_ndims)
    if type(first) not in ARGUMENTS or not first.batch_shape:
        return None
    arguments = {name: torch.cat([getattr(part, name) for part in parts]) for name in ARGUMENTS[type(first)]}
    return type(first)(**arguments)

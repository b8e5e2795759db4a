"""Lets methods take arrays of numpy, and return them; and take many rows, a batch of them at a time."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])
BATCH = 1000  # images, codes or rows at once, at most


def numpy_for_numpy(method: F) -> F:
    """Turn arrays among a method's arguments into tensors, and tensors that it then returns into arrays.

    Floats become the dtype of the module's parameters, and whole numbers int64.
    """

    @wraps(method)
    def run(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        values = [*args, *kwargs.values()]
        if not any(isinstance(value, np.ndarray) for value in values):
            return method(module, *args, **kwargs)
        dtype = next(module.parameters()).dtype

        def tensor(value: Any) -> Any:
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
                return value
            return torch.from_numpy(np.array(value)).to(dtype if value.dtype.kind == "f" else torch.long)

        result = method(module, *map(tensor, args), **{name: tensor(value) for name, value in kwargs.items()})
        return result.cpu().numpy() if isinstance(result, Tensor) else result

    return run  # type: ignore[return-value]


def in_batches(method: F) -> F:
    """Call a method for at most `BATCH` rows of its tensors at a time, and put what it returns together.

    So the memory that its networks take does not grow with the number of rows. The method returns a tensor with a row
    for each.
    """

    @wraps(method)
    def run(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        counts = {len(value) for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.dim()}
        if len(counts) != 1 or max(counts) <= BATCH:  # of different numbers of rows the method says what is wrong
            return method(module, *args, **kwargs)

        def part(value: Any, rows: slice) -> Any:
            if isinstance(value, dict):  # values by name, one for all rows or one for each
                return {name: each[rows] if np.ndim(each) else each for name, each in value.items()}
            return value[rows] if isinstance(value, Tensor) and value.dim() else value

        results = []
        for start in range(0, max(counts), BATCH):
            rows = slice(start, start + BATCH)
            named = {name: part(value, rows) for name, value in kwargs.items()}
            results.append(method(module, *(part(value, rows) for value in args), **named))
        return torch.cat(results)

    return run  # type: ignore[return-value]

"""Lets methods take arrays of numpy, and return them."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])


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

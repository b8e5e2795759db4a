"""Matrix products in lower precision, as an effect on whatever runs inside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

PRECISIONS = ("fp32", "tf32", "bf16")
aten = torch.ops.aten
PRODUCTS = {
    aten.mm.default,
    aten.addmm.default,
    aten.bmm.default,
    aten.baddbmm.default,
    aten.convolution.default,
    aten.convolution_backward.default,
}


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Inside, matrix products and convolutions are as `precision` says: fp32, tf32 (of CUDA only) or bf16."""
    flags: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [flag.allow_tf32 for flag in flags]
    for flag in flags:
        flag.allow_tf32 = precision == "tf32"
    try:
        with BFloat16Products() if precision == "bf16" else nullcontext():
            yield
    finally:
        for flag, value in zip(flags, before):
            flag.allow_tf32 = value


class BFloat16Products(TorchDispatchMode):
    """Inside, matrix products and convolutions of float32 read their factors as bfloat16; all else stays float32.

    Of 24 bits of a factor 8 remain; sums are float32, and rounded once. It acts below autograd, so that gradients taken
    inside are such products, too. Unlike torch's autocast it leaves every other operation alone: log-densities and
    draws keep all their digits.
    """

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func not in PRODUCTS:
            return func(*args, **(kwargs or {}))
        return tree_map(_back, func(*tree_map(_down, args), **tree_map(_down, kwargs or {})))


def _down(x: Any) -> Any:
    return x.bfloat16() if isinstance(x, Tensor) and x.dtype == torch.float32 else x


def _back(x: Any) -> Any:
    return x.float() if isinstance(x, Tensor) and x.dtype == torch.bfloat16 else x

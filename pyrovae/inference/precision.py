"""Matrix products and convolutions in lower precision, for whatever runs inside a context."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from pyrovae.inference.private import OpOverload, TorchDispatchMode, tree_map

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
    """Compute matrix products and convolutions in the block in this precision: fp32, tf32 (on CUDA only) or bf16."""
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
    """Rounds the float32 factors of matrix products and convolutions inside to bfloat16; all else stays float32.

    A factor keeps 8 of its 24 bits; sums are accumulated in float32 and rounded once. The mode acts below autograd, so
    that the products of gradients taken inside are rounded, too. Unlike torch's autocast it leaves all other operations
    alone: log-densities and draws keep all their digits.
    """

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if func not in PRODUCTS:
            return func(*args, **(kwargs or {}))
        return tree_map(_widened, func(*tree_map(_rounded, args), **tree_map(_rounded, kwargs or {})))


def _rounded(x: object) -> object:
    return x.bfloat16() if isinstance(x, Tensor) and x.dtype == torch.float32 else x


def _widened(x: object) -> object:
    return x.float() if isinstance(x, Tensor) and x.dtype == torch.bfloat16 else x

"""Time the matrix products of a step alone, which no implementation can do without."""

from collections.abc import Callable

import torch
from torch import Tensor

from pyrovae.inference.private import linear_by_onednn

from .work import Work


def floor(work: Work) -> Callable[[], None]:
    """Return a function that does all matrix products of an epoch, on existing tensors in the fastest memory layout.

    They are those of forward and backward passes, without the gradient in the pixels; by oneDNN on the CPU, by
    `torch.mm` elsewhere.
    """
    pairs = products(work)
    steps = len(work.images) / work.batch_size

    def epoch() -> None:
        for _ in range(round(steps)):
            for a, b in pairs:
                multiply(a, b)

    return epoch


def multiply(a: Tensor, b: Tensor) -> Tensor:
    if a.is_cuda:
        return torch.mm(a, b)
    return linear_by_onednn(a, b.t())


def flops(work: Work) -> int:
    """Count the floating-point operations in the matrix products of an epoch."""
    each = sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b in products(work))
    return round(len(work.images) / work.batch_size) * each


def products(work: Work) -> list[tuple[Tensor, Tensor]]:
    """Return the factors of each product of a step: outputs, weight gradients and input gradients of four layers."""
    n, m = work.batch_size, work.batch_size * work.particles
    layers = [
        (n, work.pixels, work.hidden),
        (n, work.hidden, 2 * work.latent_dim),
        (m, work.latent_dim, work.hidden),
        (m, work.hidden, work.pixels),
    ]
    pairs = []
    for rows, size, width in layers:
        x, gradient, weight = (torch.randn(*shape, device=work.device) for shape in _shapes(rows, size, width))
        pairs += [(x, weight.t()), (gradient.t().contiguous(), x), (gradient, weight)]
    del pairs[2]  # no gradient of the pixels
    return pairs


def _shapes(rows: int, size: int, width: int) -> list[tuple[int, int]]:
    return [(rows, size), (rows, width), (width, size)]

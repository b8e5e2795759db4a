"""Weights rounded as coarsely as the pictures allow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Node

from pyrovae.explore.program import Program, products, without_idle

LARGE = 1024  # numbers, from which on it pays to round them
FIRST, MOST, MORE = 16, 28, 0.2  # bits, tried at first and at last, and added to those that should do
LARGEST = 2**23 - 2  # multiple that a store holds
FLOOR = 0.1  # of the root mean square of all that a product reads, for one of it


@dataclass(frozen=True)
class Rounded:
    """Whole multiples, (rows, columns), of a step for each row, of a tensor of this shape."""

    steps: Tensor
    whole: Tensor
    shape: torch.Size

    def restored(self) -> Tensor:
        return (self.whole.float() * self.steps[:, None]).view(self.shape)


def rounded(
    program: Program, samples: Sequence[Sequence[Tensor]], tolerance: float
) -> tuple[dict[Node, Tensor | Rounded], float]:
    """The tensors that `program` holds, rounded so that its answers to `samples` change by at most `tolerance`.

    And by how much they change. A number is as fine as its factor is large: of the terms of a sum, then, none is finer
    than others. Where no rounding would do, all stays as it is.
    """
    held = without_idle(program, *samples[0])
    scales = _scales(program, held, samples)
    exact = [program.answer(held, *sample) for sample in samples]
    bits: float = FIRST
    while bits <= MOST:
        tried = {node: _rounded(tensor, scales[node], bits) for node, tensor in held.items() if node in scales}
        now = held | {node: one.restored() for node, one in tried.items()}
        change = max(_difference(program.answer(now, *each), was) for each, was in zip(samples, exact))
        if change <= tolerance:
            return {**held, **tried}, change
        bits += math.log2(change / tolerance) + MORE if math.isfinite(change) else MOST
    return {**held}, 0.0


def _scales(program: Program, held: dict[Node, Tensor], samples: Sequence[Sequence[Tensor]]) -> dict[Node, Tensor]:
    """What a step is a fraction of, for each row of each tensor that is large enough to be rounded."""
    large = {node: tensor.reshape(len(tensor), -1) for node, tensor in held.items() if _is_large(tensor)}
    scales = {node: rows.abs().amax(1).double() for node, rows in large.items()}
    factors: dict[Node, Tensor] = {}
    for sample in samples:
        values = program.run(held, *sample)
        for _, left, right in products(program):
            if right in scales:
                factors[right] = factors.get(right, 0) + values[left].double().square().mean(0) / len(samples)
    for node, squares in factors.items():
        size = squares.sqrt().clamp_min(FLOOR * squares.mean().sqrt().item())
        if size.min() > 0:
            scales[node] = 16 / size / math.sqrt(len(size))
    return scales


def _is_large(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() >= LARGE and bool(tensor.isfinite().all())


def _rounded(tensor: Tensor, scales: Tensor, bits: float) -> Rounded:
    rows = tensor.reshape(len(tensor), -1).double()
    steps = torch.maximum(scales / 2 ** (bits - 1), rows.abs().amax(1) / LARGEST).float()
    whole = torch.where(steps[:, None] > 0, rows / steps.double()[:, None], 0.0).round().long()
    return Rounded(steps, whole, tensor.shape)


def _difference(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    return max((found[name] - wanted[name]).abs().max().item() for name in wanted)

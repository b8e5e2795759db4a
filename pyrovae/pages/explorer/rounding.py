"""Weights rounded as coarsely as the pictures allow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Node

from pyrovae.pages.explorer.program import Program, without_idle

LARGE = 1024  # numbers, from which on it pays to round them
TRIES = 8  # of how coarsely to round
LARGEST = 2**23 - 1  # multiple that a store holds
PROBED = 24  # samples whose gradients are taken
# Of the root mean square of all rows' or columns' sensitivities, for one of them: what hardly counts in pictures that
# are tried, as a pixel at the edge, may count in one that is drawn.
FLOOR = 0.6


@dataclass(frozen=True)
class Rounded:
    """Whole multiples, (rows, columns), of a step for each row times one for each column, of a tensor of this shape."""

    rows: Tensor
    columns: Tensor
    whole: Tensor
    shape: torch.Size

    def restored(self) -> Tensor:
        steps = self.rows.double()[:, None] * self.columns.double()
        return (self.whole * steps).float().view(self.shape)


def rounded(
    program: Program, samples: Sequence[Sequence[Tensor]], tolerances: Mapping[str, float]
) -> tuple[dict[Node, Tensor | Rounded], dict[str, float]]:
    r"""The tensors that `program` holds, rounded so that its answers to `samples` change by at most `tolerances`.

    And by how much they change, by name. The fewest bits for a given error are had where each of the N numbers adds as
    much to it as any other: minimise −Σ log₂ sᵢ where Σ gᵢ² sᵢ² / 12 is given, and the step sᵢ is a constant over gᵢ,
    how sensitive the answers are to number i. Where no rounding would do, all stays as it is.
    """
    held = without_idle(program, *samples[0])
    exact = [program.answer(held, *sample) for sample in samples]
    sensitive = _sensitivities(program, held, samples, tolerances)
    size = sum(held[node].numel() for node in sensitive)
    step = 15 / math.sqrt(max(1, size))  # too coarse, mostly; what is not, follows from how much that changes
    for _ in range(TRIES):
        tried = {node: _rounded(held[node], grid, step) for node, grid in sensitive.items()}
        now = held | {node: one.restored() for node, one in tried.items()}
        changes = _changes([program.answer(now, *sample) for sample in samples], exact)
        share = max(change / tolerances[name] for name, change in changes.items())
        if share <= 1:
            return {**held, **tried}, changes
        step *= 0.9 / share if math.isfinite(share) else 1e-3
    return {**held}, dict.fromkeys(exact[0], 0.0)


def _sensitivities(
    program: Program, held: dict[Node, Tensor], samples: Sequence[Sequence[Tensor]], tolerances: Mapping[str, float]
) -> dict[Node, tuple[Tensor, Tensor]]:
    """For each tensor that is to be rounded, rows and columns whose product is how much the answers change with it.

    That is in tolerances, root mean square over answers: a gradient of their sum with signs at random is an unbiased
    estimate of its square.
    """
    leaves = {node: tensor.detach().requires_grad_() for node, tensor in held.items() if _is_large(tensor)}
    squares = {node: torch.zeros_like(tensor) for node, tensor in leaves.items()}
    generator = torch.Generator().manual_seed(0)
    probed = samples[:: -(-len(samples) // PROBED)]
    for sample in probed:
        total = torch.zeros(())
        for name, answer in program.answer(held | leaves, *sample).items():
            signs = torch.randint(0, 2, answer.shape, generator=generator) * 2 - 1
            total = total + (answer * signs).sum() / (tolerances[name] * math.sqrt(answer.numel()))
        if not total.requires_grad:
            continue
        gradients = torch.autograd.grad(total, [*leaves.values()], allow_unused=True)
        for node, gradient in zip(leaves, gradients):
            if gradient is not None:
                squares[node] += gradient.square() / len(probed)
    return {node: _factors(each.reshape(len(each), -1).double()) for node, each in squares.items()}


def _factors(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Of rows and of columns, whose product is about the root of `squares`; and none of them very small."""
    mean = squares.mean()
    if not (mean > 0 and mean.isfinite()):
        return torch.ones(len(squares)), torch.ones(squares.shape[1])
    rows, columns = ((part / mean).clamp_min(FLOOR**2).sqrt() for part in (squares.mean(1), squares.mean(0)))
    return rows * mean.sqrt(), columns


def _is_large(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() >= LARGE and bool(tensor.isfinite().all())


def _rounded(tensor: Tensor, sensitive: tuple[Tensor, Tensor], step: float) -> Rounded:
    numbers, columns = tensor.reshape(len(tensor), -1).double(), (1 / sensitive[1]).float()
    numbers = numbers / columns.double()
    rows = torch.maximum(step / sensitive[0], numbers.abs().amax(1) / (LARGEST - 1)).float()
    return Rounded(rows, columns, (numbers / rows.double()[:, None]).round().long(), tensor.shape)


def _changes(found: Sequence[dict[str, Tensor]], wanted: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """By name the largest one, of all samples."""
    return {
        name: max((now[name] - was[name]).abs().max().item() for now, was in zip(found, wanted)) for name in wanted[0]
    }

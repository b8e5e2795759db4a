"""Rounds (quantises) weights as coarsely as the page's pictures and codes allow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Node

from pyrovae.pages.explorer.program import AtenProgram, without_idle_weights

LARGE = 1024  # numbers from which on rounding a tensor is worth it
TRIES = 8  # attempts to choose how coarsely to round
LARGEST = 2**23 - 1  # the largest multiple that a store can hold
PROBED = 24  # samples of which gradients are computed
# The least sensitivity of a row or a column, as a share of the root mean square of all. A weight that hardly matters in
# the pictures tried here, as that of a pixel at the edge, may matter in a picture that somebody draws.
FLOOR = 0.6


@dataclass(frozen=True)
class Rounded:
    """A rounded tensor: as a matrix, number (i, j) is multiples[i, j] · row_steps[i] · column_steps[j]."""

    row_steps: Tensor  # (rows,)
    column_steps: Tensor  # (columns,)
    multiples: Tensor  # (rows, columns), whole numbers
    shape: torch.Size  # of the tensor

    def restored(self) -> Tensor:
        """Return the tensor that this stands for, float32."""
        steps = self.row_steps.double()[:, None] * self.column_steps.double()
        return (self.multiples * steps).float().view(self.shape)


def round_weights(
    program: AtenProgram, samples: Sequence[Sequence[Tensor]], tolerances: Mapping[str, float]
) -> tuple[dict[Node, Tensor | Rounded], dict[str, float]]:
    r"""Round the constants of `program` so that its outputs for `samples` change by at most `tolerances`.

    Returns the constants and, for each output by name, the largest change. A given total error costs the fewest bits if
    each of the N numbers contributes equally to it: minimising −Σ log₂ sᵢ at a fixed Σ gᵢ² sᵢ² / 12 makes the step sᵢ
    inversely proportional to gᵢ, the sensitivity of the outputs to number i. If no rounding meets the tolerances, all
    constants stay as they are.
    """
    constants = without_idle_weights(program, *samples[0])
    exact = [program.outputs_for(constants, *sample) for sample in samples]
    sensitivities = _sensitivities(program, constants, samples, tolerances)
    size = sum(constants[node].numel() for node in sensitivities)
    step = 15 / math.sqrt(max(1, size))  # usually too coarse: the changes it causes show what would not be
    for _ in range(TRIES):
        rounded = {node: _rounded(constants[node], factors, step) for node, factors in sensitivities.items()}
        restored = constants | {node: tensor.restored() for node, tensor in rounded.items()}
        changes = _largest_changes([program.outputs_for(restored, *sample) for sample in samples], exact)
        excess = max(change / tolerances[name] for name, change in changes.items())
        if excess <= 1:
            return {**constants, **rounded}, changes
        step *= 0.9 / excess if math.isfinite(excess) else 1e-3
    return {**constants}, dict.fromkeys(exact[0], 0.0)


def _sensitivities(
    program: AtenProgram,
    constants: dict[Node, Tensor],
    samples: Sequence[Sequence[Tensor]],
    tolerances: Mapping[str, float],
) -> dict[Node, tuple[Tensor, Tensor]]:
    """Estimate how sensitive the outputs are to each number of each large tensor.

    Returns a factor for each row and one for each column; their product is the root mean square, over the outputs, of
    the derivative in units of the tolerance. The gradient of the outputs' sum with random signs has the sum of their
    squared gradients as its expected square, so a few backward passes suffice.
    """
    leaves = {node: tensor.detach().requires_grad_() for node, tensor in constants.items() if _is_large(tensor)}
    squares = {node: torch.zeros_like(tensor) for node, tensor in leaves.items()}
    generator = torch.Generator().manual_seed(0)
    probed = samples[:: -(-len(samples) // PROBED)]
    for sample in probed:
        total = torch.zeros(())
        for name, output in program.outputs_for(constants | leaves, *sample).items():
            signs = torch.randint(0, 2, output.shape, generator=generator) * 2 - 1
            total = total + (output * signs).sum() / (tolerances[name] * math.sqrt(output.numel()))
        if not total.requires_grad:
            continue
        gradients = torch.autograd.grad(total, [*leaves.values()], allow_unused=True)
        for node, gradient in zip(leaves, gradients):
            if gradient is not None:
                squares[node] += gradient.square() / len(probed)
    return {node: _factors(square.reshape(len(square), -1).double()) for node, square in squares.items()}


def _factors(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Approximate the root of `squares` by a factor for each row times one for each column, none far below the mean."""
    mean = squares.mean()
    if not (mean > 0 and mean.isfinite()):
        return torch.ones(len(squares)), torch.ones(squares.shape[1])
    rows, columns = ((part / mean).clamp_min(FLOOR**2).sqrt() for part in (squares.mean(1), squares.mean(0)))
    return rows * mean.sqrt(), columns


def _is_large(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() >= LARGE and bool(tensor.isfinite().all())


def _rounded(tensor: Tensor, factors: tuple[Tensor, Tensor], step: float) -> Rounded:
    numbers, column_steps = tensor.reshape(len(tensor), -1).double(), (1 / factors[1]).float()
    numbers = numbers / column_steps.double()
    row_steps = torch.maximum(step / factors[0], numbers.abs().amax(1) / (LARGEST - 1)).float()
    return Rounded(row_steps, column_steps, (numbers / row_steps.double()[:, None]).round().long(), tensor.shape)


def _largest_changes(outputs: Sequence[dict[str, Tensor]], expected: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """Return the largest absolute change of each output, by name, over all samples."""
    return {
        name: max((new[name] - old[name]).abs().max().item() for new, old in zip(outputs, expected))
        for name in expected[0]
    }

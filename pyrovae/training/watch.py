"""Stop a training whose loss is not finite, and name the step, the sites and what usually helps."""

import math

from torch import Tensor

from pyrovae.inference import SVI
from pyrovae.inference.not_finite import not_finite
from pyrovae.training.record import EpochScores, losses_of

REMEDIES = "what usually helps: a smaller --lr, --grad-clip 1, --on-nan skip, or a fixed --scale if there is one"
STEPS = 50  # between two checks on a GPU: reading a value makes the host wait for it


class Watch:
    """Checks each step of `svi` for a loss that is not finite; on CUDA only every 50 steps and at the last one."""

    def __init__(self, svi: SVI) -> None:
        self.svi, self.every = svi, STEPS if svi.update.failed.is_cuda else 1
        self.unchecked: list[tuple[int, Tensor, tuple[Tensor, ...]]] = []

    def see(self, epoch: int, step: int, loss: Tensor, arguments: tuple[Tensor, ...], last: bool) -> None:
        """Note the loss that `svi.step(*arguments)` returned, and check the noted losses if it is time to.

        `last` is whether the step is the last one of the epoch. Raises FloatingPointError for a loss that is not
        finite, unless `svi` skips such steps.
        """
        if self.svi.update.skip:
            return
        self.unchecked.append((step, loss, arguments))
        if len(self.unchecked) < self.every and not last:
            return
        steps, self.unchecked = self.unchecked, []
        if self.svi.update.failed:
            step, loss, arguments = next(taken for taken in steps if not taken[1].isfinite())
            args = arguments if self.svi.prepare is None else self.svi.prepare(*arguments)
            sites = not_finite(self.svi.model, self.svi.guide, *args)
            where = f"not finite: {', '.join(sites)}" if sites else "all sites are finite at another draw of z"
            raise FloatingPointError(
                f"epoch {epoch}, step {step}: expected a finite loss, got {loss.item()}; {where}; {REMEDIES}"
            )


def all_finite(parameters: list[Tensor]) -> bool:
    """Say whether all parameters are finite; reading that makes the host wait for a GPU."""
    return all(bool(parameter.isfinite().all()) for parameter in parameters)


def expect_finite(scores: EpochScores, epoch: int) -> None:
    """Raise FloatingPointError for a loss that is not finite; names the part of the loss that is not."""
    for name, part in losses_of(scores):
        if not math.isfinite(part["loss"]):
            terms = {"reconstruction": part["reconstruction"], "kl": part["kl"]}
            sites = ", ".join(term for term, value in terms.items() if not math.isfinite(value))
            raise FloatingPointError(
                f"epoch {epoch}: expected a finite {name} loss, got {part['loss']} (not finite: {sites}); {REMEDIES}"
            )

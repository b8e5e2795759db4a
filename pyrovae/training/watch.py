"""Losses that are not finite: which step, which sites, and what usually helps."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyro
import torch
from torch import Tensor

from pyrovae.inference import SVI
from pyrovae.inference.compiled import why_not
from pyrovae.inference.traces import guide_then_model, sample_sites

REMEDIES = "what usually helps: a smaller --lr, --grad-clip 1, --on-nan skip, or a fixed --scale if there is one"
STEPS = 50  # of a GPU between two looks, as each makes it wait


class Watch:
    """Sees each step of `svi`, and looks whether one was not finite: on CUDA after several, as a look makes it wait."""

    def __init__(self, svi: SVI) -> None:
        self.svi, self.every = svi, STEPS if svi.update.failed.is_cuda else 1
        self.seen: list[tuple[int, Tensor, tuple[Any, ...]]] = []

    def see(self, epoch: int, step: int, loss: Tensor, fed: tuple[Any, ...], last: bool) -> None:
        """Raise FloatingPointError for a loss that was not finite, unless such steps are skipped."""
        if self.svi.update.skip:
            return
        self.seen.append((step, loss, fed))
        if len(self.seen) < self.every and not last:
            return
        seen, self.seen = self.seen, []
        if self.svi.update.failed:
            step, loss, fed = next(one for one in seen if not one[1].isfinite())
            args = fed if self.svi.prepare is None else self.svi.prepare(*fed)
            sites = not_finite(self.svi.model, self.svi.guide, *args)
            where = f"not finite: {', '.join(sites)}" if sites else "all sites are finite at another draw of z"
            raise FloatingPointError(
                f"epoch {epoch}, step {step}: expected a finite loss, got {loss.item()}; {where}; {REMEDIES}"
            )


def not_finite(model: Callable[..., Any], guide: Callable[..., Any], *args: Any) -> list[str]:
    """The sites whose log-probability is not finite in a run on `args`, as `log q(z)` and `log p(x)`."""
    try:
        with _at_anything():
            drawn, scored = guide_then_model(model, guide, *args)
            for trace in (drawn, scored):
                trace.compute_log_prob()
    except Exception as error:  # at parameters that are not finite, a program may do anything
        return [why_not(error)]
    return [
        f"log {letter}({name})"
        for letter, trace in (("q", drawn), ("p", scored))
        for name, node in sample_sites(trace).items()
        if not node["unscaled_log_prob"].isfinite().all()
    ]


@contextmanager
def _at_anything() -> Iterator[None]:
    """Inside, Pyro neither checks nor warns of what is looked for here."""
    with pyro.settings.context(module_local_params=True), pyro.validation_enabled(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad():
            yield


def whole(parameters: list[Tensor]) -> bool:
    """Whether all parameters are finite."""
    return all(bool(parameter.isfinite().all()) for parameter in parameters)


def expect_finite(scores: Mapping[str, Mapping[str, float]], epoch: int) -> None:
    """Raise `FloatingPointError` for a loss that is not finite; it names the part of it that is not."""
    for name, part in scores.items():
        if not math.isfinite(part["loss"]):
            sites = ", ".join(key for key in ("reconstruction", "kl") if not math.isfinite(part[key]))
            raise FloatingPointError(
                f"epoch {epoch}: expected a finite {name} loss, got {part['loss']} (not finite: {sites}); {REMEDIES}"
            )

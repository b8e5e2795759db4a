"""Find the sites of a program whose log-densities are not finite."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyro
import torch

from pyrovae.inference.compiled import why_not
from pyrovae.inference.parameters import hidden
from pyrovae.inference.traces import guide_then_model, sample_sites


def not_finite(model: Callable[..., object], guide: Callable[..., object], *args: object) -> list[str]:
    """Run guide and model on `args`; returns the sites with a log-density that is not finite: `log q(z)`, `log p(x)`.

    If a program cannot be run at its present parameters, the error is returned instead.
    """
    try:
        with _without_checks():
            drawn, scored = guide_then_model(model, guide, *args)
            for trace in (drawn, scored):
                trace.compute_log_prob()
    except Exception as error:  # a program may do anything if its parameters are not finite
        return [why_not(error)]
    return [
        f"log {letter}({name})"
        for letter, trace in (("q", drawn), ("p", scored))
        for name, node in sample_sites(trace).items()
        if not node["unscaled_log_prob"].isfinite().all()
    ]


@contextmanager
def _without_checks() -> Iterator[None]:
    """Run Pyro programs inside without gradients, checks or warnings, as their values may not be finite."""
    with hidden(), pyro.validation_enabled(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad():
            yield

"""Runs guide and model once, and keeps what an explanation is read from."""

from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.explain.made import Made, recording
from pyrovae.inference.objectives import KLWeight
from pyrovae.inference.randomness import seeded
from pyrovae.inference.traces import SampleSite, guide_then_model, is_summed, sample_sites
from pyrovae.program import Program


class Extra(NamedTuple):
    """A term of the ELBO that is of no variable, but added by `pyro.factor`."""

    name: str
    sign: str
    site: SampleSite


class Traces(NamedTuple):
    """The traces of model and guide at the same draws, and the value of Pyro's own estimator, summed over images."""

    model: Trace
    guide: Trace
    made: Made  # which part made which distribution
    estimator: str  # the name of Pyro's estimator
    elbo: float
    extra: list[Extra]
    extra_in_training: list[Extra]  # those that are added where y is what is known of the labels

    def by_program(self) -> list[tuple[str, Trace]]:
        return [("model", self.model), ("guide", self.guide)]


def traces_of(program: Program, x: Tensor, y: Tensor | None, known: Tensor | None) -> Traces:
    """Run the guide, and the model at its draws; a site that the guide sums over has all of its values at once.

    `y` is the context of the images, and `known` is what training gives in its place.
    """
    weight = KLWeight(1.0 if program.has_kl else None)
    model, guide = weight(program.model), weight(program.guide)
    with recording(program) as made:
        guide_trace, model_trace = guide_then_model(model, poutine.enum(guide, first_available_dim=-2), x, y)
    for trace in (model_trace, guide_trace):
        trace.compute_log_prob()
    drawn, summed = guide_trace.copy(), [name for name, site in sample_sites(guide_trace).items() if is_summed(site)]
    for name in summed:  # Pyro's estimator sums over them itself
        drawn.remove_node(name)
    estimator: Any = TraceEnum_ELBO if summed else Trace_ELBO
    loss = estimator(max_plate_nesting=1).loss(model, poutine.replay(guide, drawn), x, y)
    extra = _extra(model_trace, guide_trace)
    added = [] if known is None or y is not None else _extra_in_training(program, x, known, extra)
    return Traces(model_trace, guide_trace, made, estimator.__name__, -float(loss), extra, added)


def _extra_in_training(program: Program, x: Tensor, known: Tensor, extra: list[Extra]) -> list[Extra]:
    with seeded(0), pyro.validation_enabled(False):  # a known label has logits of −∞
        guide_trace, model_trace = guide_then_model(program.model, program.guide, x, known)
    names = {one.name for one in extra}
    return [one for one in _extra(model_trace, guide_trace) if one.name not in names]


def _extra(model: Trace, guide: Trace) -> list[Extra]:
    return [
        Extra(f"the {program}'s factor {name}", sign, site)
        for program, sign, trace in (("model", "+", model), ("guide", "−", guide))
        for name, site in sample_sites(trace).items()
        if isinstance(site["fn"], dist.Unit)
    ]

"""Runs guide and model once, and keeps what an explanation is read from."""

from typing import Any, NamedTuple

from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.explain.made import Made, recording
from pyrovae.inference.objectives import KLWeight
from pyrovae.inference.traces import guide_then_model, is_summed, sample_sites
from pyrovae.program import Program


class Traces(NamedTuple):
    """The traces of model and guide at the same draws, and the value of Pyro's own estimator, summed over images."""

    model: Trace
    guide: Trace
    made: Made  # which part made which distribution
    estimator: str  # the name of Pyro's estimator
    elbo: float

    def by_program(self) -> list[tuple[str, Trace]]:
        return [("model", self.model), ("guide", self.guide)]


def traces_of(program: Program, x: Tensor, y: Tensor | None) -> Traces:
    """Run the guide, and the model at its draws; a site that the guide sums over has all of its values at once."""
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
    return Traces(model_trace, guide_trace, made, estimator.__name__, -float(loss))

"""Traces of a model and its guide, and the sample sites in them."""

from collections.abc import Callable, Collection, Iterable
from itertools import takewhile
from typing import TypedDict, cast

from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.distributions.score_parts import ScoreParts
from pyro.poutine import Trace
from pyro.poutine.indep_messenger import CondIndepStackFrame
from pyro.poutine.runtime import InferDict
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor
from torch.distributions.constraints import Constraint


class SampleSite(TypedDict):
    """A `pyro.sample` statement in a trace, or as the message of an effect.

    Pyro adds the log-probabilities when they are first computed.
    """

    name: str
    fn: TorchDistribution
    value: Tensor
    is_observed: bool
    done: bool  # whether it has its value, so that Pyro does not draw one
    infer: InferDict  # how it is to be inferred: {"enumerate": "parallel"} sums over its values
    cond_indep_stack: tuple[CondIndepStackFrame, ...]  # its plates
    scale: float | Tensor  # what the log-probability is multiplied by
    mask: bool | Tensor | None  # where it counts; None: everywhere
    log_prob: Tensor  # of each row of the plates, scaled and masked
    log_prob_sum: Tensor
    unscaled_log_prob: Tensor
    score_parts: ScoreParts


def sample_sites(trace: Trace) -> dict[str, SampleSite]:
    """Return the sample sites of a trace by name, in the order in which they ran."""
    return {name: cast(SampleSite, site) for name, site in trace.nodes.items() if site["type"] == "sample"}


def guide_then_model(model: Callable[..., object], guide: Callable[..., object], *args: object) -> tuple[Trace, Trace]:
    """Run the guide, and then the model at the values that the guide drew; return the traces (guide, model)."""
    guide_trace = poutine.trace(guide).get_trace(*args)
    model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args)
    return guide_trace, model_trace


def is_summed(site: SampleSite) -> bool:
    """Whether a site of a guide is summed over, not drawn."""
    return bool(site["infer"].get("enumerate"))


def is_discrete(distribution: TorchDistribution) -> bool:
    """Say whether a distribution is of values that can be counted, such as symbols or whole numbers."""
    return cast(Constraint, distribution.support).is_discrete


def drawn_in_order(model_sites: Iterable[str], guide_sites: Collection[str], name: str) -> bool:
    """Say whether the guide draws a latent after all those that the model draws before it.

    Only then is KL(q ‖ p) in closed form, at the values of those, an estimate of the latent's KL without bias.
    """
    earlier, drawn = (
        {*takewhile(lambda other: other != name, sites)} & {*guide_sites} for sites in (model_sites, guide_sites)
    )
    return earlier <= drawn


def total(tensors: Iterable[Tensor]) -> Tensor:
    """Add tensors in their order."""
    return cast(Tensor, sum(tensors))


def joint_log_prob(trace: Trace, without: Collection[str] = ()) -> Tensor:
    """Return the log-probability of all sites of a trace together, for each sample and image: (samples, n).

    Values that are summed over are in dimensions before. Sites `without` do not count.
    """
    trace = prune_subsample_sites(trace)
    trace.compute_log_prob()
    return total(site["log_prob"] for name, site in sample_sites(trace).items() if name not in without)

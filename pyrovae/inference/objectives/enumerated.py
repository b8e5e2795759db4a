"""The ELBO with discrete sites summed over instead of drawn."""

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from pyro import poutine
from pyro.infer.enum import get_importance_trace
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.inference.objectives.importance import IWAE, Renyi
from pyrovae.inference.objectives.trace import TraceELBO
from pyrovae.inference.private import scale_and_mask
from pyrovae.inference.traces import SampleSite, is_summed, sample_sites, total


class Summed(TraceELBO):
    """Runs a guide with its discrete sites at all of their values at once, and weighs the terms by site accordingly."""

    reparameterised = True

    def _get_traces(
        self,
        model: Callable[..., object],
        guide: Callable[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> Iterator[tuple[Trace, Trace]]:
        if self.max_plate_nesting == math.inf:
            self._guess_max_plate_nesting(model, guide, args, kwargs)
        if self.vectorize_particles:
            model, guide = self._vectorized_num_particles(model), self._vectorized_num_particles(guide)
        guide = poutine.enum(guide, first_available_dim=-1 - int(self.max_plate_nesting))
        for _ in range(1 if self.vectorize_particles else self.num_particles):
            yield get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)

    def _add_terms(self, model_trace: Trace, guide_trace: Trace) -> None:
        weights, guide_sites = Weights(guide_trace), sample_sites(guide_trace)
        for name, site in sample_sites(model_trace).items():
            term = -weights.mean(site, _unweighted(site))
            if name in guide_sites:
                term = term + weights.mean(guide_sites[name], _unweighted(guide_sites[name]))
            self.terms[name] = self.terms.get(name, 0.0) + term.detach() / self.num_particles


class EnumeratedELBO(Summed):
    r"""−Σ_y q(y | x) E_{q(z | x, y)}[log p(x, y, z) − log q(y, z | x)], for the discrete sites y of a guide.

    A site of the guide is summed over if it says `infer={"enumerate": "parallel"}`: it then takes all of its values at
    once, in a dimension of its own to the left of all plates, and all that follows from it must broadcast. The others
    are drawn, and must be reparameterised. Value and gradient are those of Pyro's `TraceEnum_ELBO`, but no value is
    read from the device, so that the step compiles, and `terms` keeps the loss by site. A value of probability 0 counts
    nothing, even where its log-probability is infinite. Free bits are not offered.

    Raises `InputError` for a site of the guide that is neither summed over nor reparameterised.
    """

    def loss_of_traces(self, model_trace: Trace, guide_trace: Trace) -> Tensor:
        weights = Weights(guide_trace)
        loss = total(weights.mean(site, _log_prob(site)) for site in sample_sites(guide_trace).values())
        return loss - total(weights.mean(site, _log_prob(site)) for site in sample_sites(model_trace).values())


class EnumeratedIWAE(Summed, IWAE):
    r"""−Σ_n log 1/K Σ_k w_nk, with w = Σ_y p(x, y, z_y) / q(z_y | x, y) for the discrete sites y of a guide.

    Each value of y has its own draws of what follows from it. The guide's q(y | x) does not count in w, so that it
    learns nothing from this bound, except which values it rules out.
    """

    def loss_of_traces(self, model_trace: Trace, guide_trace: Trace) -> Tensor:
        guide_sites = sample_sites(guide_trace)
        log_p = total(site["log_prob"] for site in sample_sites(model_trace).values())
        drawn = [site["log_prob"] for site in guide_sites.values() if not is_summed(site)]
        log_w = log_p - total(drawn) if drawn else log_p
        for site in guide_sites.values():
            if is_summed(site):
                log_w = log_w.where(site["unscaled_log_prob"].exp() > 0, -math.inf)
        log_w = log_w.flatten(0, -1 - int(self.max_plate_nesting)).logsumexp(0)  # (K, n)
        return self.num_particles * self.loss_of(log_w, model_trace, guide_trace)


class EnumeratedRenyi(EnumeratedIWAE, Renyi):
    r"""The bound of `Renyi`, with w as in `EnumeratedIWAE`."""


class Weights:
    """The probabilities of the values that are summed over: `mean` averages by them what depends on these values."""

    def __init__(self, guide_trace: Trace) -> None:
        self.sites = [site for site in sample_sites(guide_trace).values() if is_summed(site)]

    def mean(self, site: SampleSite, values: Tensor) -> Tensor:
        """Return Σ weight · values over the values that a site depends on, and its sum over the plates."""
        return self.weighted(site, values).sum()

    def weighted(self, site: SampleSite, values: Tensor) -> Tensor:
        """Return weight · values, for each value that a site depends on and each row of its plates.

        A site depends on those sites alone whose plates are all its own, too: the others' weights sum to 1.
        """
        plates = _plates(site)
        logits = [one["unscaled_log_prob"] for one in self.sites if _plates(one) <= plates]
        if not logits:
            return values
        weight = total(logits).exp()
        return weight * torch.where(weight > 0, values, 0.0)


def _plates(site: SampleSite) -> frozenset[str]:
    return frozenset(frame.name for frame in site["cond_indep_stack"])


def _log_prob(site: SampleSite) -> Tensor:
    """Return the log-probability of each row and value, scaled and masked; what is summed over need not be finite."""
    return scale_and_mask(site["unscaled_log_prob"], site["scale"], site["mask"])


def _unweighted(site: SampleSite) -> Tensor:
    """Return the log-probability without its scale, and 0 where an effect masks it."""
    return scale_and_mask(site["unscaled_log_prob"].detach(), mask=site["mask"])


SUMMED: dict[str, type[Summed]] = {"elbo": EnumeratedELBO, "iwae": EnumeratedIWAE, "renyi": EnumeratedRenyi}

"""Explains a VAE: its formulas, its code, its sites, and its ELBO term by term, in Pyro and in plain PyTorch."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from pyro import poutine
from pyro.infer import Trace_ELBO
from pyro.poutine import Trace
from torch import Tensor, nn

from pyrovae.config.settings import Config
from pyrovae.data.data import Batch
from pyrovae.evaluation.elbo import arguments
from pyrovae.explain.formulas import Formula, Symbols, formulas
from pyrovae.explain.listing import Listing, Site, distribution_at, listing_of, listings_of, sites_of
from pyrovae.inference.objectives import KLWeight
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.parameters import hidden
from pyrovae.inference.traces import guide_then_model
from pyrovae.parts.densities import declared, kl_of_gaussians
from pyrovae.parts.likelihoods import Unseen
from pyrovae.vae import VAE

TOLERANCE = 1e-9  # in nats per image, or relative to terms larger than 1 nat: float64 has 16 digits
PARTS = ("encoder", "posterior", "prior", "decoder", "likelihood")


class Term(NamedTuple):
    """A term of the ELBO in nats per image: its value in Pyro and, if it has a formula, in plain PyTorch."""

    name: str
    sign: str
    in_pyro: float
    in_torch: float | None
    difference: float | None  # the largest of any image, so that differences of opposite sign do not cancel

    @property
    def agrees(self) -> bool:
        """Whether the two values are equal but for rounding; true for a term that has only one."""
        return self.difference is None or self.difference <= TOLERANCE * max(1.0, abs(self.in_pyro))


class TermByImage(NamedTuple):
    """A term of the ELBO with a value for each image, (n,)."""

    name: str
    sign: str
    in_pyro: Tensor
    in_torch: Tensor | None

    def mean(self) -> Term:
        if self.in_torch is None:
            return Term(self.name, self.sign, _mean(self.in_pyro), None, None)
        difference = (self.in_pyro - self.in_torch).abs().max().item()
        return Term(self.name, self.sign, _mean(self.in_pyro), _mean(self.in_torch), difference)


class Traces(NamedTuple):
    """The traces of model and guide at the same codes, and the value of Pyro's own estimator, summed over images."""

    model: Trace
    guide: Trace
    elbo: float

    @property
    def codes(self) -> Tensor:
        return cast(Tensor, self.guide.nodes["z"]["value"])


@dataclass(frozen=True)
class Explanation:
    """What a VAE means, as `explain` returns it."""

    formulas: list[Formula]
    symbols: Symbols
    program: list[Listing]  # model and guide, and the methods that make their distributions
    densities: list[Listing]  # the functions that compute the same densities in plain PyTorch
    sites: list[Site]
    parameters: dict[str, int]  # the number of trained parameters in each part
    images: int
    context: tuple[int, ...] | None  # the shape of the y of one image
    terms: list[Term]  # one for each site of the ELBO
    total: Term  # their sum
    elbo: Term  # Pyro's Trace_ELBO, compared with the total in plain PyTorch; if that is not known, in Pyro
    kls: list[Term]  # the KL at the codes that were drawn; then in closed form, where that is known
    missing: list[str]  # the classes without a density in plain PyTorch

    @property
    def agrees(self) -> bool:
        """Whether all terms have the same value in Pyro and in plain PyTorch."""
        return all(term.agrees for term in (*self.terms, self.total, self.elbo, *self.kls))


def explain(vae: VAE, batch: Batch, config: Config | None = None) -> Explanation:
    """Explain a VAE on images (n, C, H, W) and their labels (n,), as `Data.batch` returns them.

    Works on a copy of `vae`, in float64 and evaluation mode, with one code drawn for each image. With a config, the
    parts are called by the names that they have there, and the formulas include that of the loss.

    >>> config = Config()
    >>> data = load(config)
    >>> explanation = explain(build(config, data.shape), data.batch(data.test, slice(0, 8)))
    >>> explanation.formulas[0].left, explanation.formulas[0].right, explanation.agrees
    ('p(x, z)', 'p(z) p(x | z)', True)
    """
    vae = copy.deepcopy(vae).double().eval()
    with _float64_by_default(), torch.no_grad(), hidden():
        x, y = arguments(vae, Batch(batch.x.double(), batch.labels))
        symbols = Symbols(y is not None, bool(vae.prior(y).batch_shape), vae.has_kl)
        traces = _traces(vae, x, y)
        in_torch = _log_densities(vae, x, y, traces.codes)
        terms = _terms(traces, symbols, in_torch)
        total = _sum("sum", terms).mean()
        kls = _kls(vae, x, y, traces, terms) if vae.has_kl else []
        return Explanation(
            formulas=formulas(vae, symbols, config),
            symbols=symbols,
            program=_program(vae),
            densities=_densities(vae, kls),
            sites=[*sites_of("model", traces.model), *sites_of("guide", traces.guide)],
            parameters={part: _count(getattr(vae, part)) for part in PARTS},
            images=len(x),
            context=None if y is None else tuple(y.shape[1:]),
            terms=[term.mean() for term in terms],
            total=total,
            elbo=_elbo(traces.elbo / len(x), total),
            kls=kls,
            missing=_missing(vae, in_torch),
        )


def _traces(vae: VAE, x: Tensor, y: Tensor | None) -> Traces:
    weight = KLWeight(1.0 if vae.has_kl else None)
    model, guide = weight(vae.model), weight(vae.guide)
    guide_trace, model_trace = guide_then_model(model, guide, x, y)
    for trace in (model_trace, guide_trace):
        trace.compute_log_prob()
    loss = Trace_ELBO(max_plate_nesting=1).loss(model, poutine.replay(guide, guide_trace), x, y)
    return Traces(model_trace, guide_trace, -float(loss))


def _densities_of(vae: VAE) -> dict[str, object]:
    """Return the parts that make distributions; for a likelihood that leaves pixels out, the one inside it."""
    likelihood = vae.likelihood.likelihood if isinstance(vae.likelihood, Unseen) else vae.likelihood
    return {"prior": vae.prior, "likelihood": likelihood, "posterior": vae.posterior}


def _program(vae: VAE) -> list[Listing]:
    """List model and guide, and the methods that make their distributions."""
    masked = [vae.likelihood] if isinstance(vae.likelihood, Unseen) else []
    inner = [listing for part in (*_densities_of(vae).values(), *masked) for listing in listings_of(part, "forward")]
    outer = [listing for listing in (listing_of(type(vae).model), listing_of(type(vae).guide)) if listing]
    return list(dict.fromkeys([*outer, *inner]))


def _densities(vae: VAE, kls: list[Term]) -> list[Listing]:
    """List the functions by which the terms are computed in plain PyTorch."""
    parts = [part for part in _densities_of(vae).values() if declared(part, "log_density")]
    listings = [listing for part in parts for listing in listings_of(part, "log_density")]
    if any(kl.in_torch is not None for kl in kls[1:]) and (listing := listing_of(kl_of_gaussians)):
        listings.append(listing)
    return list(dict.fromkeys(listings))


def _log_densities(vae: VAE, x: Tensor, y: Tensor | None, z: Tensor) -> dict[str, Tensor | None]:
    """Compute log p(z), log p(x | z) and log q(z | x), each (n,), in plain PyTorch; None for a part without formula."""
    arguments_of = {"prior": (y, z), "likelihood": (vae.decoder(z, y), x), "posterior": (vae.encoder(x, y), z)}
    densities: dict[str, Tensor | None] = {}
    for family, part in _densities_of(vae).items():
        log_density = declared(part, "log_density")
        densities[family] = None if log_density is None else log_density(*arguments_of[family])
    if (pixels := densities["likelihood"]) is not None:
        scored = vae.likelihood.mask if isinstance(vae.likelihood, Unseen) else torch.tensor(True)
        densities["likelihood"] = torch.where(scored, pixels, 0.0).flatten(1).sum(1)
    return densities


def _missing(vae: VAE, in_torch: dict[str, Tensor | None]) -> list[str]:
    """Name the parts that count in the ELBO but have no density in plain PyTorch."""
    counted = {family: part for family, part in _densities_of(vae).items() if vae.has_kl or family == "likelihood"}
    return [f"{family} {type(part).__name__}" for family, part in counted.items() if in_torch[family] is None]


def _terms(traces: Traces, symbols: Symbols, in_torch: dict[str, Tensor | None]) -> list[TermByImage]:
    """Return the ELBO's terms for prior, likelihood and posterior; for a plain autoencoder the likelihood's alone."""
    sites = {
        "prior": (traces.model.nodes["z"], "+"),
        "likelihood": (traces.model.nodes["x"], "+"),
        "posterior": (traces.guide.nodes["z"], "−"),
    }
    return [
        TermByImage(f"log {symbols.density(family)}", sign, node["log_prob"], in_torch[family])
        for family, (node, sign) in sites.items()
        if node["mask"] is not False  # so KLWeight leaves out a posterior without a density, and the prior with it
    ]


def _sum(name: str, terms: list[TermByImage]) -> TermByImage:
    signed = [(-1 if term.sign == "−" else 1, term) for term in terms]
    in_pyro = torch.stack([sign * term.in_pyro for sign, term in signed]).sum(0)
    in_torch = [sign * term.in_torch for sign, term in signed if term.in_torch is not None]
    return TermByImage(name, "=", in_pyro, torch.stack(in_torch).sum(0) if len(in_torch) == len(terms) else None)


def _elbo(in_pyro: float, total: Term) -> Term:
    difference = abs(in_pyro - (total.in_pyro if total.in_torch is None else total.in_torch))
    return Term("Trace_ELBO", "", in_pyro, total.in_torch, difference)


def _kls(vae: VAE, x: Tensor, y: Tensor | None, traces: Traces, terms: list[TermByImage]) -> list[Term]:
    """Compute the KL of posterior and prior at the codes that were drawn; and in closed form, where that is known."""
    prior, _, posterior = terms
    estimate = _sum("KL, at these z", [posterior._replace(sign="+"), prior._replace(sign="−")])
    exact = known_kl(distribution_at(traces.guide.nodes["z"]), distribution_at(traces.model.nodes["z"]))
    if exact is None:
        return [estimate.mean()]
    prior_moments, posterior_moments = declared(vae.prior, "moments"), declared(vae.posterior, "moments")
    in_torch = None
    if prior_moments is not None and posterior_moments is not None:
        in_torch = kl_of_gaussians(*posterior_moments(vae.encoder(x, y)), *prior_moments(y))
    return [estimate.mean(), TermByImage("KL, exact", "", exact, in_torch).mean()]


def _mean(values: Tensor) -> float:
    return values.sum().item() / len(values)


def _count(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)


@contextmanager
def _float64_by_default() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)

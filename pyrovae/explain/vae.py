"""The account of a VAE: its parts say more than its sites, and have names that are in every textbook."""

import inspect
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn

from pyrovae.config.settings import Config
from pyrovae.explain.account import Account
from pyrovae.explain.formulas import Symbols, formulas
from pyrovae.explain.listing import Listing, distribution_at, listing_of, listings_of
from pyrovae.explain.terms import Term, TermByImage, kl_at_draws
from pyrovae.explain.traces import Traces
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.parts.densities import declared, kl_of_gaussians
from pyrovae.parts.likelihoods import Unseen
from pyrovae.program import Program
from pyrovae.vae import VAE

PARTS = ("encoder", "posterior", "prior", "decoder", "likelihood")


def is_plain_vae(program: Program) -> TypeGuard[VAE]:
    """Say whether model and guide are those of `VAE`; a subclass may have others."""
    return isinstance(program, VAE) and all(
        inspect.getattr_static(type(program), name) is inspect.getattr_static(VAE, name) for name in ("model", "guide")
    )


def account_of_vae(vae: VAE, traces: Traces, x: Tensor, y: Tensor | None, config: Config | None) -> Account:
    """Explain a VAE by its parts, from traces at images x and their context y."""
    symbols = Symbols(y is not None, bool(vae.prior(y).batch_shape), vae.has_kl)
    in_torch = _log_densities(vae, x, y, cast(Tensor, traces.guide.nodes["z"]["value"]))
    terms = _terms(traces, symbols, in_torch)
    kls = _kls(vae, x, y, traces, terms) if vae.has_kl else []
    return Account(
        formulas=formulas(vae, symbols, config),
        program=_program(vae),
        densities=_densities(vae, kls),
        parameters={part: _count(getattr(vae, part)) for part in PARTS},
        terms=terms,
        kls=kls,
        missing=_missing(vae, in_torch),
    )


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


def _kls(vae: VAE, x: Tensor, y: Tensor | None, traces: Traces, terms: list[TermByImage]) -> list[Term]:
    """Compute the KL of posterior and prior at the codes that were drawn; and in closed form, where that is known."""
    prior, _, posterior = terms
    estimate = kl_at_draws("KL, at these z", posterior, prior)
    exact = known_kl(distribution_at(traces.guide.nodes["z"]), distribution_at(traces.model.nodes["z"]))
    if exact is None:
        return [estimate.mean()]
    prior_moments, posterior_moments = declared(vae.prior, "moments"), declared(vae.posterior, "moments")
    in_torch = None
    if prior_moments is not None and posterior_moments is not None:
        in_torch = kl_of_gaussians(*posterior_moments(vae.encoder(x, y)), *prior_moments(y))
    return [estimate.mean(), TermByImage("KL, exact", "", exact, in_torch).mean()]


def _count(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)

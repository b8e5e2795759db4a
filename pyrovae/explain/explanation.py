"""What a VAE means: its formulas, its program, the trace of that, and its ELBO taken apart and found without Pyro."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO
from torch import Tensor, nn

from pyrovae.config.settings import Config
from pyrovae.data.data import Batch
from pyrovae.evaluation.elbo import arguments
from pyrovae.explain.formulas import Formula, Symbols, formulas
from pyrovae.explain.listing import Site, Source, methods_of, sites_of, source_of
from pyrovae.inference.objectives import KLWeight
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.parts.densities import declared, kl_of_gaussians
from pyrovae.parts.likelihoods import Unseen
from pyrovae.vae import VAE

TOLERANCE = 1e-9  # of a term in nats per image, or of its size if that is above 1: float64 has 16 digits
PARTS = ("encoder", "posterior", "prior", "decoder", "likelihood")


class Term(NamedTuple):
    """A part of the ELBO in nats per image: as Pyro finds it, and as its formula in plain PyTorch does, if written."""

    name: str
    sign: str
    pyro: float
    by_hand: float | None
    difference: float | None  # the largest of any image, so that none makes up for another

    @property
    def holds(self) -> bool:
        """Whether the two agree; a term without a second value has nothing to be held against."""
        return self.difference is None or self.difference <= TOLERANCE * max(1.0, abs(self.pyro))


class Scores(NamedTuple):
    """Of each image (n,), by Pyro and by hand."""

    name: str
    sign: str
    pyro: Tensor
    by_hand: Tensor | None

    def term(self) -> Term:
        if self.by_hand is None:
            return Term(self.name, self.sign, _mean(self.pyro), None, None)
        difference = (self.pyro - self.by_hand).abs().max().item()
        return Term(self.name, self.sign, _mean(self.pyro), _mean(self.by_hand), difference)


@dataclass(frozen=True)
class Explanation:
    """What `explain` finds."""

    formulas: list[Formula]
    symbols: Symbols
    program: list[Source]  # model, guide, and what in them makes the distributions
    plain: list[Source]  # the same densities in plain PyTorch
    sites: list[Site]
    parameters: dict[str, int]
    images: int
    context: tuple[int, ...] | None  # the shape of a y
    terms: list[Term]  # one for each site that counts
    total: Term  # their sum
    elbo: Term  # Pyro's Trace_ELBO, against the sum by hand; where a formula is missing, against Pyro's sum by site
    kls: list[Term]  # at the same codes, and in closed form where that is known
    missing: list[str]  # classes that do not write their density out

    @property
    def holds(self) -> bool:
        return all(term.holds for term in (*self.terms, self.total, self.elbo, *self.kls))


def explain(vae: VAE, batch: Batch, config: Config | None = None) -> Explanation:
    """Take a VAE apart on images (n, C, H, W) and their labels (n,), as `Data.batch` returns them.

    In float64, in evaluation mode, with one code drawn for each image; `vae` itself stays as it is. With a config the
    parts bear the names they have there, and the loss is told, too.

    >>> config = Config()
    >>> data = load(config)
    >>> found = explain(build(config, data.shape), data.batch(data.test, slice(0, 8)))
    >>> found.formulas[0].left, found.formulas[0].right, found.holds
    ('p(x, z)', 'p(z) p(x | z)', True)
    """
    vae = copy.deepcopy(vae).double().eval()
    with _in_doubles(), torch.no_grad(), pyro.settings.context(module_local_params=True):
        x, y = arguments(vae, Batch(batch.x.double(), batch.labels))
        prior_reads_y = bool(vae.prior(y).batch_shape)
        symbols = Symbols.of(y is not None, prior_reads_y)
        model, guide, elbo = _traced(vae, x, y)
        written = _by_hand(vae, x, y, guide.nodes["z"]["value"])
        scores = _scores(model, guide, symbols, written)
        total = _sum("sum", scores).term()
        difference = abs(elbo / len(x) - (total.pyro if total.by_hand is None else total.by_hand))
        kls = _kls(vae, x, y, model, guide, scores) if vae.has_kl else []
        return Explanation(
            formulas=formulas(vae, prior_reads_y, config),
            symbols=symbols,
            program=_program(vae),
            plain=_plain(vae, kls),
            sites=[*sites_of("model", model), *sites_of("guide", guide)],
            parameters={part: _count(getattr(vae, part)) for part in PARTS},
            images=len(x),
            context=None if y is None else tuple(y.shape[1:]),
            terms=[each.term() for each in scores],
            total=total,
            elbo=Term("Trace_ELBO", "", elbo / len(x), total.by_hand, difference),
            kls=kls,
            missing=[
                f"{family} {type(part).__name__}"
                for family, part in _members(vae).items()
                if written[family] is None and (vae.has_kl or family == "likelihood")
            ],
        )


def _traced(vae: VAE, x: Tensor, y: Tensor | None) -> tuple[Any, Any, float]:
    """The traces of model and guide at the same codes, and what Pyro's own estimator says of them, over all images."""
    weight = KLWeight(1.0 if vae.has_kl else None)
    model, guide = weight(vae.model), weight(vae.guide)
    guide_trace = poutine.trace(guide).get_trace(x, y)
    model_trace = poutine.trace(poutine.replay(model, guide_trace)).get_trace(x, y)
    for trace in (model_trace, guide_trace):
        trace.compute_log_prob()
    loss = Trace_ELBO(max_plate_nesting=1).loss(model, poutine.replay(guide, guide_trace), x, y)
    return model_trace, guide_trace, -float(loss)


def _members(vae: VAE) -> dict[str, Any]:
    """The parts that make distributions; the likelihood itself where some pixels are left out of it."""
    likelihood: Any = vae.likelihood
    if isinstance(likelihood, Unseen):
        likelihood = likelihood.likelihood
    return {"prior": vae.prior, "likelihood": likelihood, "posterior": vae.posterior}


def _program(vae: VAE) -> list[Source]:
    """Model and guide, and what in them makes the distributions."""
    masked = [vae.likelihood] if isinstance(vae.likelihood, Unseen) else []
    inner = [source for member in (*_members(vae).values(), *masked) for source in methods_of(member, "forward")]
    outer = [source for source in (source_of(type(vae).model), source_of(type(vae).guide)) if source]
    return list(dict.fromkeys([*outer, *inner]))


def _plain(vae: VAE, kls: list[Term]) -> list[Source]:
    """What `_by_hand` calls."""
    members = [member for member in _members(vae).values() if declared(member, "log_density")]
    found = [source for member in members for source in methods_of(member, "log_density")]
    if any(kl.by_hand is not None for kl in kls[1:]) and (source := source_of(kl_of_gaussians)):
        found.append(source)
    return list(dict.fromkeys(found))


def _by_hand(vae: VAE, x: Tensor, y: Tensor | None, z: Tensor) -> dict[str, Tensor | None]:
    """The log-densities (n,) of each part that writes them out in plain PyTorch."""
    given = {"prior": (y, z), "likelihood": (vae.decoder(z, y), x), "posterior": (vae.encoder(x, y), z)}
    found: dict[str, Tensor | None] = {}
    for family, member in _members(vae).items():
        written = declared(member, "log_density")
        found[family] = None if written is None else written(*given[family])
    if (pixels := found["likelihood"]) is not None:
        seen = vae.likelihood.mask if isinstance(vae.likelihood, Unseen) else torch.tensor(True)
        found["likelihood"] = torch.where(seen, pixels, 0.0).flatten(1).sum(1)
    return found


def _scores(model: Any, guide: Any, symbols: Symbols, written: dict[str, Tensor | None]) -> list[Scores]:
    places = {"prior": (model, "z", "+"), "likelihood": (model, "x", "+"), "posterior": (guide, "z", "−")}
    return [
        Scores(f"log {getattr(symbols, family)}", sign, trace.nodes[site]["log_prob"], written[family])
        for family, (trace, site, sign) in places.items()
        if trace.nodes[site]["mask"] is not False  # a posterior without a density is left out, and the prior with it
    ]


def _sum(name: str, scores: list[Scores]) -> Scores:
    signed = [(-1 if each.sign == "−" else 1, each) for each in scores]
    by_hand = [sign * each.by_hand for sign, each in signed if each.by_hand is not None]
    of_pyro = torch.stack([sign * each.pyro for sign, each in signed]).sum(0)
    return Scores(name, "=", of_pyro, torch.stack(by_hand).sum(0) if len(by_hand) == len(scores) else None)


def _kls(vae: VAE, x: Tensor, y: Tensor | None, model: Any, guide: Any, scores: list[Scores]) -> list[Term]:
    prior, _, posterior = scores
    drawn = _sum("KL, at these z", [posterior._replace(sign="+"), prior._replace(sign="−")])
    exact = known_kl(guide.nodes["z"]["fn"], model.nodes["z"]["fn"])
    if exact is None:
        return [drawn.term()]
    of_prior, of_posterior = declared(vae.prior, "moments"), declared(vae.posterior, "moments")
    by_hand = None
    if of_prior is not None and of_posterior is not None:
        by_hand = kl_of_gaussians(*of_posterior(vae.encoder(x, y)), *of_prior(y))
    return [drawn.term(), Scores("KL, exact", "", exact, by_hand).term()]


def _mean(each: Tensor) -> float:
    return each.sum().item() / len(each)


def _count(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)


@contextmanager
def _in_doubles() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)

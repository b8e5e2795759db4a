"""The formulas that a configuration means, in the names of its parts."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn

from pyrovae.config.settings import CLASSES, Config, as_text
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.densities import declared
from pyrovae.parts.likelihoods import Unseen
from pyrovae.parts.registry import asked_by, lookup
from pyrovae.programs.build import FAMILIES, is_density
from pyrovae.vae import VAE

KLS = (" + β E_q[log q(z | x) − log p(z)]", " + β KL(q(z | x) ‖ p(z))")  # what falls away without a density
ELSEWHERE = {"latent_dim", "pixels", *CLASSES} - {"activation"}  # settings that are told with another part
LETTERS = {"alpha": "α", "mmd_weight": "λ"}


class Formula(NamedTuple):
    left: str  # p(x | z)
    right: str  # Πᵢ πᵢ^xᵢ (1 − πᵢ)^(1 − xᵢ)
    where: tuple[str, ...] = ()  # what its letters stand for
    part: str = ""  # the name of the member, and the settings that it asks for


class Symbols(NamedTuple):
    """How the densities are written: with a y where there is one, and given y where they depend on it."""

    prior: str
    likelihood: str
    posterior: str

    @classmethod
    def of(cls, conditional: bool, prior_reads_y: bool) -> "Symbols":
        y = ", y" if conditional else ""
        return cls("p(z | y)" if prior_reads_y else "p(z)", f"p(x | z{y})", f"q(z | x{y})")

    def put(self, text: str) -> str:
        """A formula that was written without y."""
        if self.likelihood.endswith("y)"):
            for code in ("z", "zₖ", "x"):
                text = text.replace(f"| {code})", f"| {code}, y)")
            text = text.replace("| uₖ)", "| uₖ, yₖ)")
        return text.replace("p(z)", self.prior).replace("p(zₖ)", self.prior.replace("z", "zₖ"))


def formulas(vae: VAE, prior_reads_y: bool, config: Config | None = None) -> list[Formula]:
    """The model, its parts, the guide and the bound; with a config, the loss, and the names that it gives the parts."""
    conditional = vae.context is not None
    symbols, y = Symbols.of(conditional, prior_reads_y), " | y" if conditional else ""
    coded, decoded = ("h = encoder(x, y)", "h = decoder(z, y)") if conditional else ("h = encoder(x)", "h = decoder(z)")
    found = [
        Formula(f"p(x, z{y})", f"{symbols.prior} {symbols.likelihood}", part="the model"),
        _of(symbols, symbols.prior, "prior", vae.prior, config),
        _of(symbols, symbols.likelihood, "likelihood", _bare(vae.likelihood), config, decoded, *_notes(vae, config)),
        _of(symbols, symbols.posterior, "posterior", vae.posterior, config, coded),
        Formula(f"log p(x{y})", f"≥ {_bound(symbols)}", part="the ELBO"),
    ]
    if not vae.has_kl:
        found[-1] = Formula("score", f"log {symbols.likelihood} at z = μ", ("without a density there is no KL",))
    return found if config is None else [*found, _loss(symbols, vae, config)]


def _bound(symbols: Symbols) -> str:
    return f"E_q[log {symbols.prior} + log {symbols.likelihood} − log {symbols.posterior}]"


def _bare(likelihood: Any) -> Any:
    return likelihood.likelihood if isinstance(likelihood, Unseen) else likelihood


def _of(symbols: Symbols, left: str, family: str, member: nn.Module, config: Config | None, *where: str) -> Formula:
    """Of a part: its own, or the name of its class."""
    named = f"{type(member).__name__}({left[2:-1].replace(' | ', '; ')})"
    right, *letters = symbols.put(declared(member, "formula") or named).split("\n")
    name = type(member).__name__ if config is None else getattr(config, family)
    asked = asked_by(type(member)) if config else ()
    return Formula(left, right, (*letters, *where), f"{family} {name}{_settings(config, asked)}")


def _notes(vae: VAE, config: Config | None) -> list[str]:
    notes = []
    if isinstance(vae.likelihood, Unseen):
        notes.append(f"i: the {int(vae.likelihood.mask.sum()):,} pixels that y does not show")
    if config and not is_density(config):
        notes.append(f"of {config.pixels} pixels a relaxed score, not a density")
    return notes


def _loss(symbols: Symbols, vae: VAE, config: Config) -> Formula:
    objective = lookup("objective", config.objective, OBJECTIVES)
    text = vars(objective).get("formula", objective.__name__)  # its own: a subclass minimises something else
    for kl in () if vae.has_kl else KLS:
        text = text.replace(kl, "")
    right, *where = symbols.put(text).split("\n")
    if "β" in text:
        rise = f", from 0 over {config.warmup} epochs" if config.warmup else ""
        where.append(f"β = {config.beta:g}{rise}{f', again every {config.cycle}' if config.cycle else ''}")
    where += [f"{letter} = {getattr(config, name):g}" for name, letter in LETTERS.items() if letter in text]
    if config.particles > 1:
        where.append(f"K = {config.particles}" if "1/K" in text else f"the mean over {config.particles} draws of z")
    if config.free_bits:
        where.append(f"{config.free_bits:g} nats of KL free in each dimension")
    return Formula("loss", right, tuple(where), f"objective {config.objective}")


def network(config: Config) -> str:
    """The network and the settings that it asks for, as `mlp, hidden = 128, 128`."""
    return f"{config.network}{_settings(config, asked_by(lookup('network', config.network, FAMILIES['network'])))}"


def _settings(config: Config | None, asked: Iterable[str]) -> str:
    held = {} if config is None else config.model_dump(exclude=ELSEWHERE)
    return "".join(f", {name} = {as_text(held[name])}" for name in asked if name in held)

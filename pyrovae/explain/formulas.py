"""Writes the formulas that a configuration means, under the names of its parts.

A part or an objective has its formula as a text `formula`: the first line is the formula, and further lines say what
its letters stand for. What depends on the rest of the program is a field in braces, such as `{likelihood}` for p(x | z)
or p(x | z, y); `Symbols.fields` lists them all. Other text in braces, and text without fields, is shown as it is.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pyrovae.config.settings import CLASSES, Config, as_text
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.densities import declared
from pyrovae.parts.likelihoods import Unseen
from pyrovae.parts.registry import lookup, parameters_of
from pyrovae.programs.build import FAMILIES, READ_AS, is_density
from pyrovae.vae import VAE

SHOWN_ELSEWHERE = {"latent_dim", "pixels", "shape", *CLASSES} - {
    "activation"
}  # settings that are not repeated beside a part
LETTERS = {"alpha": "α", "mmd_weight": "λ"}


class Formula(NamedTuple):
    """One equation, with what its letters stand for."""

    left: str  # p(x | z)
    right: str  # Πᵢ πᵢ^xᵢ (1 − πᵢ)^(1 − xᵢ)
    where: tuple[str, ...] = ()  # πᵢ = σ(hᵢ)
    part: str = ""  # the name of the part, with the settings that it reads


@dataclass(frozen=True)
class Notation(ABC):
    """Writes the densities of one program, and the formulas that name them."""

    conditional: bool = False  # the program is given a context y
    prior_reads_y: bool = False
    has_kl: bool = True  # False: a plain autoencoder
    draws: str = "z"  # the latents that are drawn

    @abstractmethod
    def density(self, family: str, k: str = "") -> str:
        """Write the density of all latents under the model (prior) or the guide (posterior), or that of the image.

        `k` is the index of one of several draws of the latents.
        """

    def fields(self) -> dict[str, str]:
        """Return the text of every field that a `formula` may contain."""
        prior, likelihood, posterior = map(self.density, ("prior", "likelihood", "posterior"))
        return {
            "prior": prior,
            "likelihood": likelihood,
            "posterior": posterior,
            "prior_k": self.density("prior", "ₖ"),  # these three at the k-th of several draws
            "likelihood_k": self.density("likelihood", "ₖ"),
            "posterior_k": self.density("posterior", "ₖ"),
            "input_k": "uₖ, yₖ" if self.conditional else "uₖ",  # what the encoder reads of the k-th pseudo-input
            "plus_kl": f" + β E_q[log {posterior} − log {prior}]" if self.has_kl else "",
            "plus_exact_kl": f" + β KL({posterior} ‖ {prior})" if self.has_kl else "",
            "given_y": " | y" if self.conditional else "",
            "and_y": ", y" if self.conditional else "",
        }

    def fill(self, template: str) -> str:
        """Replace the fields of a formula by their text."""
        fields = self.fields()
        return re.sub(r"\{(\w+)\}", lambda field: fields.get(field[1], field[0]), template)


class Symbols(Notation):
    """Writes the densities of a VAE, with y among the conditions of those that depend on it.

    >>> symbols = Symbols(conditional=True)
    >>> symbols.density("prior"), symbols.density("likelihood", k="ₖ")
    ('p(z)', 'p(x | zₖ, y)')
    >>> symbols.fill("−log {likelihood} + {mine}")
    '−log p(x | z, y) + {mine}'
    """

    def density(self, family: str, k: str = "", name: str = "", bar: str = " | ") -> str:
        """Write the density of a prior, likelihood or posterior: as p or q, or with the name of a class instead."""
        letter, value, conditions = {
            "prior": ("p", f"z{k}", ()),
            "likelihood": ("p", "x", (f"z{k}",)),
            "posterior": ("q", f"z{k}", ("x",)),
        }[family]
        reads_y = self.prior_reads_y if family == "prior" else self.conditional
        conditions = (*conditions, "y") if reads_y else conditions
        return f"{name or letter}({value}{bar if conditions else ''}{', '.join(conditions)})"


def formulas(vae: VAE, symbols: Symbols, config: Config | None = None) -> list[Formula]:
    """List the formulas of the model, its parts, the guide and the bound; with a config also that of the loss."""
    likelihood = vae.likelihood.likelihood if isinstance(vae.likelihood, Unseen) else vae.likelihood
    decoded = (symbols.fill("h = decoder(z{and_y})"), *notes(vae.likelihood, config))
    equations = [
        Formula(symbols.fill("p(x, z{given_y})"), symbols.fill("{prior} {likelihood}"), part="the model"),
        _part(symbols, "prior", vae.prior, config),
        _part(symbols, "likelihood", likelihood, config, decoded),
        _part(symbols, "posterior", vae.posterior, config, (symbols.fill("h = encoder(x{and_y})"),)),
        _bound(symbols),
    ]
    return equations if config is None else [*equations, loss(symbols, config)]


def _part(symbols: Symbols, family: str, part: object, config: Config | None, where: tuple[str, ...] = ()) -> Formula:
    """Show the formula of a prior, likelihood or posterior, or the name of its class if it has none."""
    unwritten = symbols.density(family, name=type(part).__name__, bar="; ")
    right, *letters = symbols.fill(declared(part, "formula") or unwritten).split("\n")
    return Formula(symbols.density(family), right, (*letters, *where), label(family, type(part), config))


def label(family: str, kind: type, config: Config | None) -> str:
    """Name a part as the config does, with the settings that it reads; without a config by its class."""
    if config is None:
        return f"{family} {kind.__name__}"
    return f"{family} {getattr(config, family)}{_settings(config, parameters_of(kind))}"


def notes(likelihood: object, config: Config | None) -> list[str]:
    """Say of a likelihood what its formula does not."""
    about = []
    if isinstance(likelihood, Unseen):
        about.append(f"i: the {int(likelihood.mask.sum()):,} pixels that y does not show")
    if config and not is_density(config):
        about.append(f"of {config.pixels} pixels a relaxed score, not a density")
    return about


def _bound(symbols: Symbols) -> Formula:
    if not symbols.has_kl:
        return Formula("score", symbols.fill("log {likelihood} at z = μ"), ("without a density there is no KL",))
    elbo = symbols.fill("≥ E_q[log {prior} + log {likelihood} − log {posterior}]")
    return Formula(symbols.fill("log p(x{given_y})"), elbo, part="the ELBO")


def loss(symbols: Notation, config: Config) -> Formula:
    """Write what training minimises."""
    objective = lookup("objective", config.objective, OBJECTIVES)
    template = vars(objective).get("formula", objective.__name__)  # not inherited: a subclass minimises something else
    text = symbols.fill(template)
    right, *where = text.split("\n")
    if "β" in text:
        rise = f", from 0 over {config.warmup} epochs" if config.warmup else ""
        where.append(f"β = {config.beta:g}{rise}{f', again every {config.cycle}' if config.cycle else ''}")
    where += [f"{letter} = {getattr(config, name):g}" for name, letter in LETTERS.items() if letter in text]
    if config.particles > 1:
        where.append(
            f"K = {config.particles}" if "1/K" in text else f"the mean over {config.particles} draws of {symbols.draws}"
        )
    if config.free_bits:
        where.append(f"{config.free_bits:g} nats of KL free in each dimension")
    return Formula("loss", right, tuple(where), f"objective {config.objective}")


def network(config: Config) -> str:
    """Name the network and the settings that it reads: `mlp, hidden = 128, 128`; "" for a program that takes none."""
    program, member = (lookup(family, getattr(config, family), FAMILIES[family]) for family in ("program", "network"))
    if not READ_AS["network"] & parameters_of(program).keys():
        return ""
    return f"{config.network}{_settings(config, parameters_of(member))}"


def _settings(config: Config, names: Iterable[str]) -> str:
    values = config.model_dump(exclude=SHOWN_ELSEWHERE)
    return "".join(f", {name} = {as_text(values[name])}" for name in names if name in values)

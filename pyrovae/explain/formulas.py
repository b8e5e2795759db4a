"""Writes the formulas that a configuration means, under the names of its parts.

A part or an objective has its formula as a text `formula`: the first line is the formula, and further lines say what
its letters stand for. What depends on the rest of the program is a field in braces, such as `{likelihood}` for p(x | z)
or p(x | z, y); `Symbols.fields` lists them all. Other text in braces, and text without fields, is shown as it is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pyrovae.config.settings import CLASSES, Config, as_text
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.densities import declared
from pyrovae.parts.likelihoods import Unseen
from pyrovae.parts.registry import lookup, parameters_of
from pyrovae.programs.build import FAMILIES, is_density
from pyrovae.vae import VAE

SHOWN_ELSEWHERE = {"latent_dim", "pixels", *CLASSES} - {"activation"}  # settings that are not repeated beside a part
LETTERS = {"alpha": "α", "mmd_weight": "λ"}


class Formula(NamedTuple):
    """One equation, with what its letters stand for."""

    left: str  # p(x | z)
    right: str  # Πᵢ πᵢ^xᵢ (1 − πᵢ)^(1 − xᵢ)
    where: tuple[str, ...] = ()  # πᵢ = σ(hᵢ)
    part: str = ""  # the name of the part, with the settings that it reads


@dataclass(frozen=True)
class Symbols:
    """Writes the densities of one program, with y among the conditions of those that depend on it.

    >>> symbols = Symbols(conditional=True)
    >>> symbols.density("prior"), symbols.density("likelihood", z="zₖ")
    ('p(z)', 'p(x | zₖ, y)')
    >>> symbols.fill("−log {likelihood} + {mine}")
    '−log p(x | z, y) + {mine}'
    """

    conditional: bool = False  # the program is given a context y
    prior_reads_y: bool = False
    has_kl: bool = True  # False: a plain autoencoder

    def density(self, family: str, z: str = "z", name: str = "", bar: str = " | ") -> str:
        """Write the density of a prior, likelihood or posterior: as p or q, or with the name of a class instead."""
        letter, value, conditions = {
            "prior": ("p", z, ()),
            "likelihood": ("p", "x", (z,)),
            "posterior": ("q", z, ("x",)),
        }[family]
        reads_y = self.prior_reads_y if family == "prior" else self.conditional
        conditions = (*conditions, "y") if reads_y else conditions
        return f"{name or letter}({value}{bar if conditions else ''}{', '.join(conditions)})"

    def fields(self) -> dict[str, str]:
        """Return the text of every field that a `formula` may contain."""
        prior, likelihood, posterior = map(self.density, ("prior", "likelihood", "posterior"))
        return {
            "prior": prior,
            "likelihood": likelihood,
            "posterior": posterior,
            "prior_k": self.density("prior", "zₖ"),  # these three at the k-th of several codes
            "likelihood_k": self.density("likelihood", "zₖ"),
            "posterior_k": self.density("posterior", "zₖ"),
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


def formulas(vae: VAE, symbols: Symbols, config: Config | None = None) -> list[Formula]:
    """List the formulas of the model, its parts, the guide and the bound; with a config also that of the loss."""
    likelihood = vae.likelihood.likelihood if isinstance(vae.likelihood, Unseen) else vae.likelihood
    decoded = (symbols.fill("h = decoder(z{and_y})"), *_notes(vae, config))
    equations = [
        Formula(symbols.fill("p(x, z{given_y})"), symbols.fill("{prior} {likelihood}"), part="the model"),
        _part(symbols, "prior", vae.prior, config),
        _part(symbols, "likelihood", likelihood, config, decoded),
        _part(symbols, "posterior", vae.posterior, config, (symbols.fill("h = encoder(x{and_y})"),)),
        _bound(symbols),
    ]
    return equations if config is None else [*equations, _loss(symbols, config)]


def _part(symbols: Symbols, family: str, part: object, config: Config | None, where: tuple[str, ...] = ()) -> Formula:
    """Show the formula of a prior, likelihood or posterior, or the name of its class if it has none."""
    kind = type(part)
    unwritten = symbols.density(family, name=kind.__name__, bar="; ")
    right, *letters = symbols.fill(declared(part, "formula") or unwritten).split("\n")
    if config is None:
        label = f"{family} {kind.__name__}"
    else:
        label = f"{family} {getattr(config, family)}{_settings(config, parameters_of(kind))}"
    return Formula(symbols.density(family), right, (*letters, *where), label)


def _notes(vae: VAE, config: Config | None) -> list[str]:
    notes = []
    if isinstance(vae.likelihood, Unseen):
        notes.append(f"i: the {int(vae.likelihood.mask.sum()):,} pixels that y does not show")
    if config and not is_density(config):
        notes.append(f"of {config.pixels} pixels a relaxed score, not a density")
    return notes


def _bound(symbols: Symbols) -> Formula:
    if not symbols.has_kl:
        return Formula("score", symbols.fill("log {likelihood} at z = μ"), ("without a density there is no KL",))
    elbo = symbols.fill("≥ E_q[log {prior} + log {likelihood} − log {posterior}]")
    return Formula(symbols.fill("log p(x{given_y})"), elbo, part="the ELBO")


def _loss(symbols: Symbols, config: Config) -> Formula:
    objective = lookup("objective", config.objective, OBJECTIVES)
    template = vars(objective).get("formula", objective.__name__)  # not inherited: a subclass minimises something else
    text = symbols.fill(template)
    right, *where = text.split("\n")
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
    """Name the network and the settings that it reads: `mlp, hidden = 128, 128`."""
    return f"{config.network}{_settings(config, parameters_of(lookup('network', config.network, FAMILIES['network'])))}"


def _settings(config: Config, names: Iterable[str]) -> str:
    values = config.model_dump(exclude=SHOWN_ELSEWHERE)
    return "".join(f", {name} = {as_text(values[name])}" for name in names if name in values)

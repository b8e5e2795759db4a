"""Writes the formulas of a program by its sites, in the order in which model and guide run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from torch.distributions import Distribution

from pyrovae.config.settings import Config
from pyrovae.explain import families
from pyrovae.explain.factors import Factor
from pyrovae.explain.formulas import Formula, Notation, label, loss, notes
from pyrovae.explain.listing import describe
from pyrovae.explain.made import Made, leaf_of
from pyrovae.explain.traces import Extra, Traces
from pyrovae.parts.densities import declared
from pyrovae.program import Program
from pyrovae.programs.build import FAMILIES


@dataclass(frozen=True)
class JointNotation(Notation):
    """Writes the densities of all latents together: p(z1, z2) and q(z1, z2 | x).

    `factors` are the program's, and `ahead` the image and the context.
    """

    factors: Sequence[Factor] = ()
    ahead: tuple[str, ...] = ()

    def density(self, family: str, k: str = "") -> str:
        if family == "likelihood":
            return self.product([factor for factor in self.of("p") if not factor.latent], k)
        factors = [factor for factor in self.of("p" if family == "prior" else "q") if factor.latent]
        return self.joint(factors, [f"{name}{k}" for name in self.latents()])

    def of(self, letter: str) -> list[Factor]:
        return [factor for factor in self.factors if factor.letter == letter]

    def latents(self) -> list[str]:
        """Return the names of the latents, the one next to the image first."""
        return [factor.name for factor in reversed(self.of("p")) if factor.latent]

    def joint(self, factors: Sequence[Factor], names: Sequence[str]) -> str:
        """Write the joint density that factors make, given the image and the context if one of them is."""
        given = [name for name in self.ahead if any(name in factor.parents for factor in factors)]
        return f"{factors[0].letter}({', '.join(names)}{' | ' if given else ''}{', '.join(given)})"

    def product(self, factors: Sequence[Factor], k: str = "") -> str:
        """Write factors side by side, latents with the index k."""
        text = " ".join(factor.text() for factor in factors)
        return re.sub(rf"\b({'|'.join(map(re.escape, self.latents()))})\b(?!\()", rf"\1{k}", text) if k else text


def formulas_by_site(
    program: Program, factors: list[Factor], traces: Traces, conditional: bool, config: Config | None
) -> list[Formula]:
    """List the formulas of the model and its sites, of the guide and its sites, and of the bound.

    With a config also that of the loss.
    """
    drawn = [factor.name for factor in factors if factor.letter == "q" and not factor.summed]
    ahead = (program.image, *(["y"] if conditional else []))
    notation = JointNotation(conditional, False, program.has_kl, ", ".join(drawn), factors, ahead)
    model, guide = notation.of("p"), notation.of("q")
    sites = [_site(program, notation, factor, traces.made, config) for factor in factors]
    everything = [factor.name for factor in reversed(model)]
    equations = [
        Formula(notation.joint(model, everything), notation.product(model), part="the model"),
        *sites[: len(model)],
        *([Formula(notation.density("posterior"), notation.product(guide), part="the guide")] * (len(guide) > 1)),
        *sites[len(model) :],
        _bound(notation, model, guide, traces.extra),
    ]
    return equations if config is None else [*equations, _loss(notation, guide, traces.extra_in_training, config)]


def _site(program: Program, notation: JointNotation, factor: Factor, made: Made, config: Config | None) -> Formula:
    """Write the formula of a site: that of the part which made its distribution, or that of its family."""
    if factor.part is None or factor.call is None:
        return _of_family(factor, factor.site["fn"])
    right, *letters = notation.fill(declared(factor.part, "formula") or "").split("\n")
    for letter, name in {"x": program.image, "z": factor.name}.items():
        right = re.sub(rf"\b{letter}(?![a-z0-9])", name, right)
    where = [*letters]
    if factor.parents and any(re.search(r"\bh", text) for text in (right, *letters)):
        source, given = made.source(factor.call.argument), ", ".join(factor.parents)
        where.append(f"h = {source}({given})" if source else f"h from {given}")
    if factor.name == program.image:
        where += notes(getattr(program, "likelihood", None), config)
    return Formula(factor.text(), right, tuple(where), _label(factor, config))


def _label(factor: Factor, config: Config | None) -> str:
    """Name the part that made a distribution: as the config does, if it names this kind, else by its place."""
    if factor.call is None:
        return ""
    kind = type(factor.call.module)
    family = ("prior" if factor.latent else "likelihood") if factor.letter == "p" else "posterior"
    if config is not None and _is_named(config, family, kind):
        return label(family, kind, config)
    return f"{factor.call.name} {kind.__name__}"


def _is_named(config: Config, family: str, kind: type) -> bool:
    """Check that the config names a class; a user's own is another object each time that its file is loaded."""
    name: str = getattr(config, family)
    return FAMILIES[family].get(name) is kind or (":" in name and name.rpartition(":")[2] == kind.__name__)


def _of_family(factor: Factor, fn: Distribution) -> Formula:
    """Write the formula of a distribution that the program's own code makes."""
    name = describe(fn)
    family = families.family_of(fn)
    if family is None:
        return Formula(factor.text(), factor.text(describe(leaf_of(fn)), "; "), part=name)
    constants = families.constants_of(family, fn)
    where = [f"{letter} = {value:.3g}" for letter, value in constants.items() if value is not None]
    if others := ", ".join(letter for letter, value in constants.items() if value is None):
        where.append(f"{others} from {', '.join(factor.parents)}" if factor.parents else f"{others} learned")
    return Formula(factor.text(), families.formula_of(family, fn, factor.name), tuple(where), name)


def _bound(notation: JointNotation, model: list[Factor], guide: list[Factor], extra: list[Extra]) -> Formula:
    terms = " + ".join(f"log {factor.text()}" for factor in model if factor.counts)
    more = "".join(f" {one.sign} {one.name}" for one in extra)
    if not notation.has_kl:
        means = ", ".join(f"{factor.name} = μ" for factor in guide if not factor.summed)
        return Formula("score", f"{_means(guide, '')}{terms}{more} at {means}", ("without a density there is no KL",))
    terms += "".join(f" − log {factor.text()}" for factor in guide)
    left = notation.joint(model, [factor.name for factor in reversed(model) if not factor.latent])
    return Formula(f"log {left}", f"≥ {_means(guide, 'E_q')}[{terms}{more}]", part="the ELBO")


def _means(guide: list[Factor], mean: str) -> str:
    """Write the averages over the guide, in its order: `Σ_y q(y | x) E_q`, with a space after a sum."""
    texts = [
        "".join(f"Σ_{factor.name} {factor.text()} " for factor in factors) if summed else mean
        for summed, factors in groupby(guide, lambda factor: factor.summed)
    ]
    return re.sub(r"(?<=E_q)(?=Σ)", " ", "".join(texts))


def _loss(notation: JointNotation, guide: list[Factor], extra: list[Extra], config: Config) -> Formula:
    formula = loss(notation, config)
    summed = [f"the mean sums over {factor.name}" for factor in guide if factor.summed]
    added = [f"{'plus' if one.sign == '−' else 'minus'} {one.name}" for one in extra]  # the ELBO counts with a minus
    return formula._replace(where=(*formula.where, *summed, *added))

"""The account of any program, by its sites: each has a distribution, which a part or the program's own code made."""

from collections import Counter
from collections.abc import Mapping

from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.explain import families
from pyrovae.explain.account import Account
from pyrovae.explain.dependencies import Dependence
from pyrovae.explain.factors import Factor, factors_of
from pyrovae.explain.formulas_by_site import formulas_by_site
from pyrovae.explain.listing import Listing, describe, listing_of, listings_of
from pyrovae.explain.made import leaf_of
from pyrovae.explain.terms import Term, TermByImage, kl_at_draws
from pyrovae.explain.traces import Traces
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.objectives.enumerated import Weights
from pyrovae.inference.private import scale_and_mask
from pyrovae.inference.traces import SampleSite
from pyrovae.parts.densities import declared
from pyrovae.program import Program


def account_by_site(
    program: Program,
    traces: Traces,
    depends: Mapping[str, Mapping[str, Dependence]],
    y: Tensor | None,
    config: Config | None,
) -> Account:
    """Explain a program by its sites, from its traces and what they depend on."""
    factors = factors_of(traces, depends)
    terms = _Terms(traces, factors)
    counted = [factor for factor in factors if factor.counts]
    return Account(
        formulas=formulas_by_site(program, factors, traces, y is not None, config),
        program=_program(program, traces, factors),
        densities=_densities(factors),
        parameters=_parameters(program),
        terms=[*terms.by_site.values(), *terms.extra],
        kls=[kl for factor in factors if factor.letter == "q" and factor.counts for kl in terms.kls(factor)],
        missing=[
            f"{describe(leaf_of(factor.site['fn']))} of {factor.text()}"
            for factor in counted
            if terms.by_site[factor.text()].in_torch is None
        ],
    )


class _Terms:
    """The terms of the ELBO by image: what is summed over is weighted by its probabilities under the guide."""

    def __init__(self, traces: Traces, factors: list[Factor]) -> None:
        self.factors = {(factor.letter, factor.name): factor for factor in factors}
        self.weights = Weights(traces.guide)
        self.by_site = {factor.text(): self._term(factor) for factor in factors if factor.counts}
        self.extra = [
            TermByImage(name, sign, value := self._by_image(site, site["log_prob"]), value)
            for name, sign, site in traces.extra
        ]

    def _term(self, factor: Factor) -> TermByImage:
        site, in_torch = factor.site, factor.log_density()
        if in_torch is not None:
            in_torch = self._by_image(site, scale_and_mask(in_torch, site["scale"], site["mask"]))
        name = f"log {factor.text()}"
        sign = "+" if factor.letter == "p" else "−"
        return TermByImage(name, sign, self._by_image(site, site["log_prob"]), in_torch)

    def kls(self, q: Factor) -> list[Term]:
        """Return the KL of a latent at the values that were drawn; and in closed form, where that is known and valid.

        It is valid at those values if the guide draws all latents first on which the model's distribution depends.
        """
        p = self.factors["p", q.name]
        how = "summed" if q.summed else "as drawn"
        kls = [kl_at_draws(f"KL of {q.name}, {how}", self.by_site[q.text()], self.by_site[p.text()])]
        guide = [name for letter, name in self.factors if letter == "q"]
        late = {*p.parents} & {*guide[guide.index(q.name) :]}
        exact = None if late else known_kl(q.site["fn"], p.site["fn"])
        if exact is not None:
            in_torch = families.kl(q.site["fn"], p.site["fn"], tuple(exact.shape))
            written = None if in_torch is None else self._by_image(q.site, in_torch)
            kls.append(TermByImage(f"KL of {q.name}, exact", "", self._by_image(q.site, exact), written))
        return [kl.mean() for kl in kls]

    def _by_image(self, site: SampleSite, values: Tensor) -> Tensor:
        weighted = self.weights.weighted(site, values)
        return weighted.sum_to_size(weighted.shape[-1:])


def _program(program: Program, traces: Traces, factors: list[Factor]) -> list[Listing]:
    """List model and guide, the modules in which they draw, and the methods that make their distributions."""
    outer = [listing_of(type(program).model), listing_of(type(program).guide)]
    modules = [*traces.made.drawing.values(), *(factor.call.module for factor in factors if factor.call)]
    inner = [listing for module in modules for listing in listings_of(module, "forward")]
    return list(dict.fromkeys([*(listing for listing in outer if listing), *inner]))


def _densities(factors: list[Factor]) -> list[Listing]:
    """List the functions by which the terms are computed in plain PyTorch."""
    listings: list[Listing] = []
    for factor in factors:
        if factor.call and declared(factor.call.module, "log_density"):
            listings += listings_of(factor.call.module, "log_density")
        elif (family := families.family_of(factor.site["fn"])) and (listing := listing_of(family.log_density)):
            listings.append(listing)
    return list(dict.fromkeys(listings))


def _parameters(program: Program) -> dict[str, int]:
    """Count the trained parameters of each child of the program, and of those that it has itself."""
    counts = Counter({name: 0 for name, _ in program.named_children()})
    for name, parameter in program.named_parameters():
        counts[name.split(".")[0]] += parameter.numel() if parameter.requires_grad else 0
    return dict(counts)

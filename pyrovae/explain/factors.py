"""The factors of a model's joint density and of its guide: one for each site, p(x | z1) or q(z1 | x)."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from pyrovae.explain import families
from pyrovae.explain.dependencies import Dependence
from pyrovae.explain.made import Call
from pyrovae.explain.traces import Traces
from pyrovae.inference.sites import is_latent, variables_of
from pyrovae.inference.traces import SampleSite, is_summed
from pyrovae.parts.densities import declared


@dataclass(frozen=True)
class Factor:
    """The density of one site of a trace, given the variables that it depends on."""

    letter: str  # p of the model, q of the guide
    name: str
    site: SampleSite
    parents: tuple[str, ...]
    learned: bool
    call: Call | None  # of the part that made the distribution

    @property
    def latent(self) -> bool:
        return is_latent(self.site)

    @property
    def counts(self) -> bool:
        """Whether it counts in the ELBO: an effect masks the latents of a guide that has no density."""
        return self.site["mask"] is not False

    @property
    def summed(self) -> bool:
        return self.letter == "q" and is_summed(self.site)

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape of its log-density: values that are summed over, and images."""
        return tuple(self.site["unscaled_log_prob"].shape)

    @property
    def part(self) -> nn.Module | None:
        """The part that made the distribution, if it says which density that is."""
        return self.call.module if self.call and declared(self.call.module, "formula") else None

    def text(self, letter: str = "", bar: str = " | ") -> str:
        """Write the factor: `p(x | z1)`; with the name of a class instead of p: `Wide(x; z1)`."""
        return f"{letter or self.letter}({self.name}{bar if self.parents else ''}{', '.join(self.parents)})"

    def log_density(self) -> Tensor | None:
        """Return the log-density of the site's value without Pyro, (*rows), or None if there is no formula.

        A part that made the distribution writes its own out; if none does, the family of the distribution is taken.
        """
        fn = self.site["fn"]
        value = self.site["value"].expand(*self.rows, *fn.event_shape)
        if self.call and (log_density := declared(self.call.module, "log_density")):
            rows = len(self.rows)
            argument, made_for = self.call.argument, self.call.returned.batch_shape
            if isinstance(argument, Tensor) and made_for:  # one row for each of the values, as parts take them
                argument = argument.expand(*self.rows, *argument.shape[len(made_for) :]).flatten(0, rows - 1)
            scores = log_density(argument, value.flatten(0, rows - 1))
            if scores is not None:
                return families.reduced(fn, scores.unflatten(0, self.rows), self.rows)
        return families.log_density(fn, value, self.rows)


def factors_of(traces: Traces, depends: Mapping[str, Mapping[str, Dependence]]) -> list[Factor]:
    """Return the factors of the model, then those of the guide, each in the order in which its sites run."""
    return [
        Factor(letter, name, site, *depends[program][name], traces.made.maker(site["fn"]))
        for letter, (program, trace) in zip("pq", traces.by_program())
        for name, site in variables_of(trace).items()
    ]

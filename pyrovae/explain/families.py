"""Families of distributions, with the formula and the density in plain PyTorch of each.

They serve where a program's own code makes a distribution, such as `dist.Normal(loc, scale)`, and no part of it says
more.
"""

from collections.abc import Callable
from typing import NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.distributions import Distribution, Independent

from pyrovae.explain.made import leaf_of
from pyrovae.inference.private import mask_of
from pyrovae.parts.densities import (
    kl_of_categoricals,
    kl_of_normals,
    log_bernoulli,
    log_categorical,
    log_gamma,
    log_gaussian,
    log_laplace,
    log_log_normal,
    log_normal,
    log_one_hot,
    log_poisson,
    log_student_t,
)
from pyrovae.parts.distributions import StudentT
from pyrovae.programs.mixture import Cluster
from pyrovae.programs.symbols import OneHotSymbols


class Family(NamedTuple):
    """A family of distributions: `log_density(value, *arguments)` is the logarithm of `formula`."""

    formula: str  # of the value {v}, and with the index {i} of one number of it
    letters: dict[str, str]  # the parameters by their letters in the formula
    log_density: Callable[..., Tensor]
    arguments: tuple[str, ...]  # the names of the parameters that it takes

    def score(self, distribution: Distribution, value: Tensor) -> Tensor:
        """Return the log-density of a value, without what is independent around the distribution summed."""
        return self.log_density(value, *(getattr(distribution, name) for name in self.arguments))


LOC_SCALE = ("loc", "scale")
GAUSSIAN = Family("N({v}; μ, Σ)", {"μ": "loc", "Σ": "covariance_matrix"}, log_gaussian, ("loc", "covariance_matrix"))
STUDENT_T = Family(
    "t({v}{i}; ν{i}, μ{i}, s{i})", {"ν": "df", "μ": "loc", "s": "scale"}, log_student_t, ("df", *LOC_SCALE)
)
ONE_HOT = Family("Πₖ π{i}ₖ^{v}{i}ₖ", {"π": "probs"}, log_one_hot, ("logits",))
FAMILIES: dict[type[Distribution], Family] = {
    dist.Normal: Family("N({v}{i}; μ{i}, σ{i}²)", {"μ": "loc", "σ": "scale"}, log_normal, LOC_SCALE),
    dist.Laplace: Family("exp(−|{v}{i} − μ{i}|/b{i}) / 2b{i}", {"μ": "loc", "b": "scale"}, log_laplace, LOC_SCALE),
    dist.StudentT: STUDENT_T,
    StudentT: STUDENT_T,
    dist.MultivariateNormal: GAUSSIAN,
    dist.LowRankMultivariateNormal: GAUSSIAN,
    dist.Bernoulli: Family("π{i}^{v}{i} (1 − π{i})^(1 − {v}{i})", {"π": "probs"}, log_bernoulli, ("logits",)),
    dist.Categorical: Family("π{i}[{v}{i}]", {"π": "probs"}, log_categorical, ("logits",)),
    dist.OneHotCategorical: ONE_HOT,
    dist.OneHotCategoricalStraightThrough: ONE_HOT,
    Cluster: ONE_HOT,
    OneHotSymbols: Family(
        "Πᵥ Πₖ πᵥₖ^{v}ᵥₖ", {"π": "mean"}, lambda z, log_pi: log_one_hot(z, log_pi).sum(-1), ("log_pi",)
    ),
    dist.LogNormal: Family(
        "N(log {v}{i}; μ{i}, σ{i}²) / {v}{i}", {"μ": "loc", "σ": "scale"}, log_log_normal, LOC_SCALE
    ),
    dist.Gamma: Family(
        "β{i}^α{i} {v}{i}^(α{i} − 1) exp(−β{i} {v}{i}) / Γ(α{i})",
        {"α": "concentration", "β": "rate"},
        log_gamma,
        ("concentration", "rate"),
    ),
    dist.Poisson: Family("λ{i}^{v}{i} exp(−λ{i}) / {v}{i}!", {"λ": "rate"}, log_poisson, ("rate",)),
}
KLS: dict[type[Distribution], tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    dist.Normal: (kl_of_normals, LOC_SCALE),
    dist.Categorical: (kl_of_categoricals, ("logits",)),
    dist.OneHotCategorical: (kl_of_categoricals, ("logits",)),
    dist.OneHotCategoricalStraightThrough: (kl_of_categoricals, ("logits",)),
    Cluster: (kl_of_categoricals, ("logits",)),
    OneHotSymbols: (lambda q, p: kl_of_categoricals(q, p).sum(-1), ("log_pi",)),
}


def family_of(distribution: Distribution) -> Family | None:
    """Return the family of a distribution, also of a masked or expanded one; None if it is not in `FAMILIES`."""
    return FAMILIES.get(type(leaf_of(distribution)))


def formula_of(family: Family, distribution: Distribution, name: str) -> str:
    """Write the formula of a site `name`: as a product over its numbers if it has several.

    >>> formula_of(FAMILIES[dist.Normal], dist.Normal(torch.zeros(3), 1.0).to_event(1), "z")
    'Πᵢ N(zᵢ; μᵢ, σᵢ²)'
    """
    several = len(distribution.event_shape) > len(leaf_of(distribution).event_shape)
    return ("Πᵢ " if several else "") + family.formula.format(v=name, i="ᵢ" if several else "")


def constants_of(family: Family, distribution: Distribution) -> dict[str, float | None]:
    """Return the parameters by their letters: the value of one whose numbers are all equal, None for others."""
    leaf = leaf_of(distribution)
    values = {letter: getattr(leaf, name).flatten() for letter, name in family.letters.items()}
    return {letter: value[0].item() if bool((value == value[0]).all()) else None for letter, value in values.items()}


def log_density(distribution: Distribution, value: Tensor, rows: tuple[int, ...]) -> Tensor | None:
    """Return the log-density of a value in each of the rows, by the formula of the family; None if it has none."""
    family, leaf = family_of(distribution), leaf_of(distribution)
    return None if family is None else reduced(distribution, family.score(leaf, value), rows)


def kl(q: Distribution, p: Distribution, rows: tuple[int, ...]) -> Tensor | None:
    """Return KL(q ‖ p) in each of the rows by the formula of their family; None if they have none."""
    (one, other), kind = map(leaf_of, (q, p)), type(leaf_of(q))
    if kind is not type(other) or kind not in KLS or q.event_shape != p.event_shape:
        return None
    function, names = KLS[kind]
    return reduced(q, function(*(getattr(each, name) for each in (one, other) for name in names)), rows)


def reduced(distribution: Distribution, scores: Tensor, rows: tuple[int, ...]) -> Tensor:
    """Sum scores of single numbers over those that are independent, and leave out what is masked; returns (*rows)."""
    lead = len(rows) - len(distribution.batch_shape)  # what is summed over may add dimensions to a value alone

    def at(level: Distribution) -> Tensor:
        if level is leaf_of(level):
            return scores
        inner = at(level.base_dist)  # type: ignore[attr-defined]  # as `leaf_of` goes on
        if isinstance(level, MaskedDistribution):
            return torch.where(torch.as_tensor(mask_of(level)), inner, 0.0)
        dims = lead + len(level.batch_shape)
        return inner.flatten(dims).sum(-1) if isinstance(level, Independent) and inner.dim() > dims else inner

    return at(distribution).expand(rows)

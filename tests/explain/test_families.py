"""Families of distributions: each density in plain PyTorch is Pyro's."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyrovae.explain.families import FAMILIES, KLS, formula_of, kl, log_density
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.parts.distributions import StudentT
from pyrovae.programs.mixture import Cluster
from pyrovae.programs.symbols import OneHotSymbols


def positive(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64) + 0.5


def real(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def covariance(*shape: int) -> Tensor:
    factor = real(*shape, shape[-1])
    return factor @ factor.mT + torch.eye(shape[-1])


MAKE = {
    dist.Normal: lambda: dist.Normal(real(5, 3), positive(5, 3)),
    dist.Laplace: lambda: dist.Laplace(real(5, 3), positive(5, 3)),
    dist.StudentT: lambda: dist.StudentT(positive(5, 3), real(5, 3), positive(5, 3)),
    StudentT: lambda: StudentT(positive(5, 3), real(5, 3), positive(5, 3)),
    dist.MultivariateNormal: lambda: dist.MultivariateNormal(real(5, 3, 2), covariance(5, 3, 2)),
    dist.LowRankMultivariateNormal: lambda: dist.LowRankMultivariateNormal(
        real(5, 3, 2), real(5, 3, 2, 1), positive(5, 3, 2)
    ),
    dist.Bernoulli: lambda: dist.Bernoulli(logits=real(5, 3)),
    dist.Categorical: lambda: dist.Categorical(logits=real(5, 3, 4)),
    dist.OneHotCategorical: lambda: dist.OneHotCategorical(logits=real(5, 3, 4)),
    dist.OneHotCategoricalStraightThrough: lambda: dist.OneHotCategoricalStraightThrough(logits=real(5, 3, 4)),
    dist.LogNormal: lambda: dist.LogNormal(real(5, 3), positive(5, 3)),
    dist.Gamma: lambda: dist.Gamma(positive(5, 3), positive(5, 3)),
    dist.Poisson: lambda: dist.Poisson(positive(5, 3)),
    Cluster: lambda: Cluster(logits=real(5, 3, 4)),
    OneHotSymbols: lambda: OneHotSymbols(real(5, 3, 2, 4).log_softmax(-1)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_the_density_of_pyro(family):
    torch.manual_seed(0)
    each = MAKE[family]()
    for distribution in (each, each.to_event(1), each.mask(torch.arange(3) > 0).to_event(1), each.expand((4, 5, 3))):
        rows = tuple(distribution.batch_shape)
        value = distribution.sample()
        torch.testing.assert_close(log_density(distribution, value, rows), distribution.log_prob(value))


@pytest.mark.parametrize("family", KLS)
def test_every_kl_is_that_of_pyro(family):
    torch.manual_seed(0)
    q, p = MAKE[family]().to_event(1), MAKE[family]().to_event(1)
    torch.testing.assert_close(kl(q, p, (5,)), known_kl(q, p))


def test_a_kl_of_other_families_or_shapes_is_unknown():
    q = MAKE[dist.Normal]().to_event(1)
    assert kl(q, MAKE[dist.Laplace]().to_event(1), (5,)) is None
    assert kl(q, dist.Normal(real(5, 2), 1.0).to_event(1), (5,)) is None
    assert kl(MAKE[dist.Gamma](), MAKE[dist.Gamma](), (5, 3)) is None


def test_a_subclass_is_of_no_family():
    """It may have another density."""

    class Other(dist.Normal):
        pass

    assert log_density(Other(0.0, 1.0), torch.zeros(2), (2,)) is None


@pytest.mark.parametrize(
    ("distribution", "formula"),
    [
        (dist.Normal(0.0, 1.0), "N(b; μ, σ²)"),
        (dist.Normal(torch.zeros(2), 1.0).to_event(1), "Πᵢ N(bᵢ; μᵢ, σᵢ²)"),
        (dist.MultivariateNormal(torch.zeros(2), torch.eye(2)), "N(b; μ, Σ)"),
        (dist.OneHotCategorical(torch.ones(4, 3)).to_event(1), "Πᵢ Πₖ πᵢₖ^bᵢₖ"),
    ],
)
def test_a_formula_is_a_product_over_numbers_that_are_independent(distribution, formula):
    leaf = distribution.base_dist if hasattr(distribution, "base_dist") else distribution
    assert formula_of(FAMILIES[type(leaf)], distribution, "b") == formula

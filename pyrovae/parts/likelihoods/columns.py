"""The likelihood of a table of mixed columns: each column has one of its own."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor, nn

from pyrovae.parts.distributions import LogNegativeBinomial, LogPoisson, StudentT
from pyrovae.parts.kinds import Kind
from pyrovae.parts.likelihoods.categorical import Values
from pyrovae.parts.likelihoods.location_scale import START, LocationScale, scale_of

Moments = tuple[Tensor, Tensor]  # mean and standard deviation of columns, as the network reads them


def _location_scale(family: Callable[..., TorchDistribution]) -> Callable[..., TorchDistribution]:
    def make(moments: Moments, scale: Tensor, loc: Tensor) -> TorchDistribution:
        mean, std = moments
        return family(mean + std * loc, std * scale)

    return make


def _student_t(loc: Tensor, scale: Tensor) -> TorchDistribution:
    return StudentT(5.0, loc, scale)


def _poisson(moments: Moments, _: Tensor, log_rate: Tensor) -> TorchDistribution:
    return LogPoisson(moments[0] + log_rate)


def _negative_binomial(moments: Moments, _: Tensor, log_mean: Tensor, log_r: Tensor) -> TorchDistribution:
    return LogNegativeBinomial(moments[0] + log_mean, log_r)


def _bernoulli(_: Moments, __: Tensor, logits: Tensor) -> TorchDistribution:
    return dist.Bernoulli(logits=logits)


class Family(NamedTuple):
    """How columns of one likelihood are scored: a function of their moments, scales and features, (..., columns)."""

    make: Callable[..., TorchDistribution]
    features: int = 1  # of each column
    scaled: bool = False  # whether a scale belongs to it, by the setting `scale`


FAMILIES = {
    "gaussian": Family(_location_scale(dist.Normal), scaled=True),
    "student_t": Family(_location_scale(_student_t), scaled=True),
    "laplace": Family(_location_scale(dist.Laplace), scaled=True),
    "lognormal": Family(_location_scale(dist.LogNormal), scaled=True),
    "poisson": Family(_poisson),
    "negative_binomial": Family(_negative_binomial, features=2),
    "bernoulli": Family(_bernoulli),
}


class Columns(nn.Module):
    r"""log p(x | z) = Σ log pᵢ(xᵢ | z): each column is scored by a likelihood of its own, in its own units.

    Real columns: N(x; m + s μ, (s σ)²), or Laplace's or Student's t (ν = 5) of that location and scale, with mean m and
    standard deviation s of the training values. Positive ones: the same of log x. Counts: Poisson, or negative binomial
    with mean exp(m + h), where m is the mean of log(1 + x). Binary: Bernoulli. Categories: softmax. It is a density in
    the real and positive columns, and a mass function in the others. `scale` is a number, `shared`, which learns one σ
    for each column, or `pixel`, for which it is a feature. Nazábal et al. (2020), arXiv:1807.03653.
    """

    formula = "Πᵢ pᵢ(xᵢ; hᵢ)"
    features = 1
    domain: tuple[str, ...] = ("columns",)
    order: Tensor
    place: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, kinds: Sequence[Kind], scale: float | str = "shared") -> None:
        super().__init__()
        if scale == "optimal":
            raise ValueError("scale: 'optimal' fits likelihood gaussian, not columns")
        self.kinds = tuple(kinds)
        self.as_feature, fixed = scale == "pixel", isinstance(scale, (int, float))
        groups: dict[str, list[int]] = {}
        for column, kind in enumerate(kinds):
            name = kind.likelihood if kind.kind != "category" else f"categorical {column}"
            groups.setdefault(name, []).append(column)
        self.groups = groups
        self.sizes = [self._size(name) for name in groups]
        # Everything of a column is kept in the order of the groups, so that parts are split off without an index.
        order = [column for columns in groups.values() for column in columns]
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("place", self.order.argsort(), persistent=False)
        for moment in ("mean", "std"):
            values = torch.tensor([getattr(self.kinds[column], moment) for column in order])
            self.register_buffer(moment, values, persistent=False)
        start = torch.full((len(kinds),), math.log(float(scale) if fixed else START["real"]))
        self.log_scale = nn.Parameter(start, requires_grad=scale == "shared")

    @property
    def width(self) -> int:
        """How many numbers the decoder returns for all columns together."""
        return sum(self.sizes)

    def _size(self, name: str) -> int:
        columns = self.groups[name]
        if name not in FAMILIES:
            return len(self.kinds[columns[0]].categories)
        family = FAMILIES[name]
        return len(columns) * (family.features + (family.scaled and self.as_feature))

    def forward(self, h: Tensor) -> TorchDistribution:
        parts = h.squeeze(-2).split(self.sizes, -1)
        counts = [len(columns) for columns in self.groups.values()]
        moments = zip(*(values.split(counts) for values in (self.mean, self.std, self.log_scale)), strict=True)
        groups = [self._group(name, *each) for name, *each in zip(self.groups, parts, moments, strict=True)]
        return ByColumn(groups, self.order, self.place).to_event(1)

    def _group(self, name: str, h: Tensor, moments: tuple[Tensor, Tensor, Tensor]) -> TorchDistribution:
        """Return the distribution (..., columns) of the columns with this likelihood."""
        if name not in FAMILIES:
            return Values(logits=h.unsqueeze(-2))
        mean, std, log_scale = moments
        family, features = FAMILIES[name], list(h.unflatten(-1, (-1, len(mean))).unbind(-2))
        if family.scaled and self.as_feature:
            scale = scale_of(features.pop() + math.log(START["real"])) + LocationScale.floor
        else:
            scale = log_scale.exp()
        return family.make((mean, std), scale, *features)


class ByColumn(TorchDistribution):
    """Independent distributions of the columns of a table, (..., D), of which each part has some.

    `order` (D,) are the columns of all parts, one part after another, and `place` (D,) says where in it each column is.
    The mean of a category is its most probable value.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    has_rsample = False
    inside = 1.0  # in the support of every kind of column

    def __init__(self, parts: Sequence[TorchDistribution], order: Tensor, place: Tensor) -> None:
        self.parts, self.order, self.place = parts, order, place
        self.widths = [part.batch_shape[-1] for part in parts]
        rows = torch.broadcast_shapes(*(part.batch_shape[:-1] for part in parts))
        super().__init__(torch.Size((*rows, len(place))), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return _InColumns(self)

    @property
    def mean(self) -> Tensor:
        return self.joined([_mean(part) for part in self.parts])

    @property
    def probabilities(self) -> dict[int, Tensor]:
        """The probabilities (..., K) of the K values of each column that is a category, by column."""
        first = [sum(self.widths[:part]) for part in range(len(self.parts))]
        categories = [(part, start) for part, start in zip(self.parts, first) if isinstance(part, Values)]
        order = self.order.tolist()
        return {order[start]: part.probs.squeeze(-2) for part, start in categories}

    @property
    def variance(self) -> Tensor:
        return self.joined([part.variance for part in self.parts])

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "ByColumn":
        rows = tuple(batch_shape)[:-1]
        parts = [part.expand((*rows, width)) for part, width in zip(self.parts, self.widths, strict=True)]
        return ByColumn(parts, self.order, self.place)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.joined([part.sample(torch.Size(sample_shape)) for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        return self.joined([part.log_prob(some) for part, some in zip(self.parts, self.taken(value), strict=True)])

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        """Put the values of all parts, (..., columns of the part), back into the order of the table."""
        rows = torch.broadcast_shapes(*(value.shape[:-1] for value in values))
        return torch.cat([value.expand(*rows, -1) for value in values], -1).index_select(-1, self.place)

    def taken(self, value: Tensor) -> tuple[Tensor, ...]:
        """Return the values of a table (..., D) by part."""
        return value.index_select(-1, self.order).split(self.widths, -1)


def _mean(part: TorchDistribution) -> Tensor:
    mean: Tensor = part.logits.argmax(-1).to(part.logits) if isinstance(part, Values) else part.mean
    return mean


class _InColumns(constraints.Constraint):
    """Accepts what the columns' own constraints accept."""

    event_dim = 0

    def __init__(self, columns: ByColumn) -> None:
        self.columns = columns
        self.supports: list[Any] = [part.support for part in columns.parts]
        self.is_discrete = all(support.is_discrete for support in self.supports)

    def check(self, value: Tensor) -> Tensor:
        columns = self.columns
        parts = zip(self.supports, columns.taken(value), strict=True)
        return columns.joined([support.check(some) for support, some in parts])

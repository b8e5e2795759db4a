"""Discretized logistic likelihoods: bytes as rounded logistic variables, and mixtures of them."""

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Size, Tensor, nn
from torch.nn import functional as F

SPREAD = 127.5  # half the range of a byte: the unit of the features, as if pixels were scaled to [-1, 1]
FLOOR = 1e-3 * SPREAD  # the least scale


class RoundedLogistic(TorchDistribution):
    r"""A logistic variable, rounded to the nearest integer and clamped to 0..255.

    P(k) = F(k + ½) − F(k − ½), F(v) = 1 / (1 + exp(−(v − μ)/s)), but P(0) = F(½) and P(255) = 1 − F(254½).
    Kingma et al. (2016), arXiv:1606.04934, appendix.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.integer_interval(0, 255)

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        above, below = ((value + half - self.loc) / self.scale for half in (0.5, -0.5))
        inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-1 / self.scale))
        # F(a) − F(b) = σ(a) σ(−b) (1 − exp(b − a)) with a − b = 1/s: it loses no digits far from the mean
        return torch.where(value < 0.5, F.logsigmoid(above), torch.where(value > 254.5, F.logsigmoid(-below), inside))

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = torch.rand(self._extended_shape(Size(sample_shape)), dtype=self.loc.dtype, device=self.loc.device)
        return (self.loc + self.scale * torch.logit(u, eps=1e-6)).round().clamp(0, 255)

    @property
    def mean(self) -> Tensor:
        """E[x] = Σ_k P(x > k), k = 0..254."""
        total = torch.zeros_like(self.loc)
        for k in range(255):
            total = total + torch.sigmoid((self.loc - k - 0.5) / self.scale)
        return total

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "RoundedLogistic":
        return RoundedLogistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape), self._validate_args)


def log_rounded(x: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Return log (F(x + ½) − F(x − ½)) for the logistic F; 0 and 255 also take the mass that lies beyond them."""
    side = torch.where(x > loc, -1.0, 1.0)  # above the mean, subtract upper tails: no digits are lost
    ends = (side * (torch.where(x > 254.5, torch.inf, x + 0.5) - loc) / scale).to(x.dtype)
    starts = (side * (torch.where(x < 0.5, -torch.inf, x - 0.5) - loc) / scale).to(x.dtype)
    high, low = F.logsigmoid(torch.maximum(ends, starts)), F.logsigmoid(torch.minimum(ends, starts))
    return high + torch.log(-torch.expm1(low - high))


def _loc_scale(loc: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    return SPREAD * (loc + 1), SPREAD * log_scale.exp() + FLOOR


class DiscretizedLogistic(nn.Module):
    r"""Each pixel is a `RoundedLogistic` whose location and log-scale are two features."""

    formula = "Πᵢ [F(xᵢ + ½) − F(xᵢ − ½)]\nF(v) = σ((v − μᵢ)/sᵢ), μᵢ and log sᵢ from hᵢ"
    features = 2
    domain: tuple[str, ...] = ("bytes",)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        return RoundedLogistic(*_loc_scale(*h.unbind(-4))).to_event(3)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        return log_rounded(x, *_loc_scale(*h.unbind(-4)))


class DiscretizedLogisticMixture(nn.Module):
    r"""Each pixel is a mixture of ten `RoundedLogistic`s; in colour images, a `LinkedMixture` of its channels.

    Salimans et al. (2017), PixelCNN++, arXiv:1701.05517.
    """

    formula = (
        "Πᵢ Σₖ πᵢₖ [Fₖ(xᵢ + ½) − Fₖ(xᵢ − ½)]\nFₖ(v) = σ((v − μᵢₖ)/sᵢₖ), log πᵢₖ, μᵢₖ and log sᵢₖ from hᵢ, k = 1..10"
    )
    parts = 10
    features = 3 * parts  # of a grey pixel; a colour has `parts` more
    domain: tuple[str, ...] = ("bytes",)

    def __init__(self, shape: tuple[int, ...] = (1, 1, 1)) -> None:
        super().__init__()
        if shape[0] > len(LINKS):
            raise ValueError(
                f"likelihood discretized_logistic_mixture: expected {len(LINKS)} channels or fewer, got {shape[0]}"
            )
        if shape[0] > 1:
            self.features = 4 * self.parts

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        logits, loc, log_scale, *links = h.movedim(-4, -1).split(self.parts, -1)  # each (..., C, H, W, parts)
        return LinkedMixture(logits.sum(-4), loc, log_scale, links[0].tanh() if links else None).to_event(3)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        logits, loc, log_scale, *links = h.movedim(-4, -1).split(self.parts, -1)
        unit, joint = x[..., None] / SPREAD - 1, logits.sum(-4).log_softmax(-1)  # joint: log π_k P(channels so far | k)
        scores = [torch.zeros_like(x[..., 0, :, :])]
        for c in range(x.shape[-3]):
            shift = sum(
                links[0][..., i, :, :, :].tanh() * unit[..., of, :, :, :] for i, (to, of) in enumerate(LINKS) if to == c
            )
            where = _loc_scale(loc[..., c, :, :, :] + shift, log_scale[..., c, :, :, :])
            joint = joint + log_rounded(x[..., c, :, :, None], *where)
            scores.append(joint.logsumexp(-1))
        return torch.stack(scores, -3).diff(dim=-3)


LINKS = ((1, 0), (2, 0), (2, 1))  # green given red; blue given red, and given green


class LinkedMixture(TorchDistribution):
    r"""Σ_k π_k Π_c P(x_c | x_<c, k): one part k for all channels of a pixel, each conditioned on those before it.

    P(x_c | x_<c, k) is a `RoundedLogistic` whose location is loc_ck + Σ_{j<c} α_cjk x_j, in units in which bytes run
    from −1 to 1. `log_prob` of channel c is log P(x_c | x_<c), so the channels of a pixel sum to that of its colour.
    Shapes: `logits` (..., H, W, parts), the others (..., C, H, W, parts); `links` holds the α in the order of LINKS.
    """

    arg_constraints = {"loc": constraints.real, "log_scale": constraints.real}  # noqa: RUF012
    support = constraints.integer_interval(0, 255)

    def __init__(
        self,
        logits: Tensor,
        loc: Tensor,
        log_scale: Tensor,
        links: Tensor | None,
        validate_args: bool | None = None,
    ) -> None:
        self.logits, self.loc, self.log_scale, self.links = logits.log_softmax(-1), loc, log_scale, links
        super().__init__(loc.shape[:-1], validate_args=validate_args)

    def part(self, c: int, before: list[Tensor]) -> RoundedLogistic:
        """Return P(x_c | x_<c, k) for each part k: (..., H, W, parts).

        `before` are the channels x_<c, each (..., H, W, parts or 1).
        """
        loc, links = self.loc[..., c, :, :, :], self.links
        for link, (to, of) in enumerate(LINKS):
            if links is not None and to == c:
                loc = loc + links[..., link, :, :, :] * (before[of] / SPREAD - 1)
        return RoundedLogistic(*_loc_scale(loc, self.log_scale[..., c, :, :, :]))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        channels = list(value[..., None].unbind(-4))
        joint, scores = self.logits, []
        before = torch.zeros_like(value[..., 0, :, :])
        for c, x in enumerate(channels):
            joint = joint + self.part(c, channels).log_prob(x)
            scores.append(joint.logsumexp(-1) - before)
            before = joint.logsumexp(-1)
        return torch.stack(torch.broadcast_tensors(*scores), -3)

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        k = dist.Categorical(logits=self.logits).sample(sample_shape)[..., None]
        drawn: list[Tensor] = []
        for c in range(self.loc.shape[-4]):
            every = self.part(c, drawn).sample() if drawn else self.part(c, drawn).sample(sample_shape)
            drawn.append(every.gather(-1, k))
        return torch.cat(drawn, -1).movedim(-1, -3)

    @property
    def mean(self) -> Tensor:
        """E[x_c], exact for the first channel; for the others, the channels before them are set to their means."""
        means: list[Tensor] = []
        for c in range(self.loc.shape[-4]):
            means.append(self.part(c, means).mean)
        return (torch.stack(means, -4) * self.logits.exp().unsqueeze(-4)).sum(-1)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "LinkedMixture":
        *batch, channels, height, width = batch_shape
        parts = self.loc.shape[-1:]
        logits = self.logits.expand(*batch, height, width, *parts)
        shape = (*batch, channels, height, width, *parts)
        links = None if self.links is None else self.links.expand(shape)
        return LinkedMixture(logits, self.loc.expand(shape), self.log_scale.expand(shape), links, self._validate_args)

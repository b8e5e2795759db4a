"""Symbols: what a discrete code consists of, and the ways in which it can be drawn."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.distributions import register_kl
from torch.distributions.utils import clamp_probs


class OneHotSymbols(TorchDistribution):
    r"""V independent symbols out of K each, as rows of zeros and a one. Batch shape (...), event shape (V, K).

    `log_pi` (..., V, K) are the log-probabilities, normalised. log p(z) = Σ_v Σ_k z_vk log π_vk is linear in z, so that
    a gradient flows into it through a draw, too. `relaxation`, of `RELAXATIONS`, makes draws reparameterised.
    """

    has_enumerate_support = True
    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.independent(constraints.one_hot, 1)

    def __init__(self, log_pi: Tensor, relaxation: str | None = None, temperature: Tensor | float = 1.0) -> None:
        super().__init__(log_pi.shape[:-2], log_pi.shape[-2:])
        self.log_pi, self.relaxation, self.temperature = log_pi, relaxation, temperature

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]  # a constant elsewhere
        return self.relaxation is not None

    @property
    def mean(self) -> Tensor:
        return self.log_pi.exp()

    @property
    def mode(self) -> Tensor:
        return _largest(self.log_pi)

    def log_prob(self, value: Tensor) -> Tensor:
        return (value * self.log_pi).sum((-2, -1))

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return _largest(self._perturbed(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        soft = (self._perturbed(sample_shape) / self.temperature).softmax(-1)
        return RELAXATIONS[self.relaxation or ""](soft, self.mean)

    def _perturbed(self, sample_shape: Sequence[int]) -> Tensor:
        """Return log π + g, with Gumbel noise g: the largest entry of each row is at a symbol drawn from π.

        Pyro's distributions draw as well, but not in a graph (one-hot rows), or not in one for several runs (relaxed).
        """
        uniform = clamp_probs(self.log_pi.new_empty(*sample_shape, *self.log_pi.shape).uniform_())
        return self.log_pi - (-uniform.log()).log()

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "OneHotSymbols":
        return OneHotSymbols(self.log_pi.expand(*batch_shape, *self.event_shape), self.relaxation, self.temperature)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all K^V values: (K^V, ..., V, K), with batch dimensions of size 1 unless `expand`."""
        (variables, symbols), device = self.event_shape, self.log_pi.device
        numbers = torch.cartesian_prod(*variables * [torch.arange(symbols, device=device)]).view(-1, variables)
        values = torch.eye(symbols, dtype=self.log_pi.dtype, device=device)[numbers]
        values = values.view(-1, *[1] * len(self.batch_shape), *self.event_shape)
        return values.expand(-1, *self.batch_shape, *self.event_shape) if expand else values


def _largest(scores: Tensor) -> Tensor:
    """Return a one in each row, where its largest score is, and zeros elsewhere."""
    return torch.zeros_like(scores).scatter_(-1, scores.argmax(-1, keepdim=True), 1.0)


def _with_gradient_of(soft: Tensor, hard: Tensor) -> Tensor:
    return hard + (soft - soft.detach())


# Reparameterised draws, from draws of the Gumbel-softmax and the mean.
RELAXATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "straight_through": lambda soft, mean: _with_gradient_of(mean, _largest(soft.detach())),
    "gumbel_softmax": lambda soft, mean: soft,
    "straight_through_gumbel": lambda soft, mean: _with_gradient_of(soft, _largest(soft.detach())),
}


def _kl(q: OneHotSymbols, p: OneHotSymbols) -> Tensor:
    """KL(q ‖ p) = Σ π_q (log π_q − log π_p). torch's own, of categoricals, writes by index, which no graph captures."""
    return (q.mean * (q.log_pi - p.log_pi)).sum((-2, -1))


register_kl(OneHotSymbols, OneHotSymbols)(_kl)

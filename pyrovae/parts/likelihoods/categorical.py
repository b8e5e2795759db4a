"""The categorical likelihood: bytes as 256 unordered symbols."""

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn


class Categorical(nn.Module):
    r"""log p(x | z) = Σ log softmax(h)_x, with a free probability for each of the 256 values of each pixel.

    Van den Oord et al. (2016), Pixel recurrent neural networks, arXiv:1601.06759.
    """

    formula = "Πᵢ exp hᵢ[xᵢ] / Σₖ exp hᵢ[k]"
    features = 256
    domain: tuple[str, ...] = ("bytes",)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        return Values(logits=h.movedim(-4, -1)).to_event(3)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        return h.gather(-4, x.long().unsqueeze(-4)).squeeze(-4) - h.logsumexp(-4)


class Values(dist.Categorical):
    """A categorical distribution over the numbers 0, 1, 2, ..., which unlike Pyro's has a mean."""

    @property
    def mean(self) -> Tensor:
        return self.probs @ torch.arange(self.probs.shape[-1], dtype=self.probs.dtype, device=self.probs.device)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "Values":
        return super().expand(batch_shape, self._get_checked_instance(Values, _instance))

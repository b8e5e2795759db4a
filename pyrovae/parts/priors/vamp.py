"""A mixture of posteriors."""

import math
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.parts.densities import own
from pyrovae.parts.priors.mixture import GaussianMixture


class Vamp(nn.Module):
    r"""p(z) = 1/K Σ q(z | u_k): the posterior at K = `components` learned pseudo-inputs u_k, which start as images.

    Given a context, each pseudo-input has that of its image, so that p(z) is the same for every y. Tomczak & Welling
    (2018), VAE with a VampPrior, arXiv:1705.07120.
    """

    formula = "1/K Σₖ q(z | {input_k})\nuₖ learned pseudo-inputs"
    about = "The prior is the average of the posteriors of learned pseudo-images: codes gather where those are encoded."
    contexts: Tensor | None
    started: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        context: tuple[int, ...],
        components: int,
        encoder: nn.Module,
        posterior: nn.Module,
    ) -> None:
        super().__init__()
        self.inputs = nn.Parameter(torch.rand(components, *shape))
        self.register_buffer("contexts", torch.zeros(components, *context) if context else None)
        self.register_buffer("started", torch.tensor(False))
        self.shared = (encoder, posterior)  # in a tuple, as they are parts of the VAE and not of its prior

    def initialise(self, x: Tensor, y: Tensor | None = None) -> None:
        """Start from images (components, C, H, W) and their contexts; what was learned stays."""
        if self.started:
            return
        with torch.no_grad():
            self.started.fill_(True)
            self.inputs.copy_(x)
            if self.contexts is not None and y is not None:
                self.contexts.copy_(y)

    def forward(self, y: Tensor | None = None) -> dist.TorchDistribution:
        encoder, posterior = self.shared
        parts = posterior(encoder(self.inputs, self.contexts))
        gaussian = isinstance(parts, dist.Independent) and isinstance(parts.base_dist, dist.Normal)
        mixture = GaussianMixture if gaussian else PosteriorMixture
        return mixture(dist.Categorical(logits=self.inputs.new_zeros(len(self.inputs))), parts)

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor | None:
        """None for a posterior that is not written out."""
        encoder, posterior = self.shared
        if (of_posterior := own(posterior, "log_density")) is None:
            return None
        h, k = encoder(self.inputs, self.contexts), len(self.inputs)
        return torch.stack([of_posterior(h, code.expand(k, -1)).logsumexp(-1) for code in z]) - math.log(k)

    @property
    def numbers(self) -> int:
        """Held for each code that is scored."""
        encoder: Any = self.shared[0]
        each = 1 if isinstance(self(), GaussianMixture) else encoder.features
        return len(self.inputs) * each


class PosteriorMixture(dist.MixtureSameFamily):
    """A mixture that shows each value to each part in full: a posterior's flow does not broadcast."""

    def log_prob(self, value: Tensor) -> Tensor:
        weights = torch.log_softmax(self.mixture_distribution.logits, -1)
        value = value.unsqueeze(-2).expand(*value.shape[:-1], weights.shape[-1], value.shape[-1])  # (..., K, latent)
        return torch.logsumexp(weights + self.component_distribution.log_prob(value), -1)

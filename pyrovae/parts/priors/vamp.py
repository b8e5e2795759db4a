"""The VampPrior: a mixture of posteriors at learned inputs."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.parts.densities import declared, log_equal_mixture
from pyrovae.parts.networks.network import Encoder
from pyrovae.parts.priors.encoded_mixture import EncodedMixture
from pyrovae.parts.priors.mixture import GaussianMixture


class Vamp(EncodedMixture):
    r"""p(z) = 1/K Σ q(z | u_k): the posterior at K = `components` learned pseudo-inputs u_k, which start as images.

    Given a context, each pseudo-input keeps that of the image it started from, so p(z) is the same for every y. Tomczak
    & Welling (2018), VAE with a VampPrior, arXiv:1705.07120.
    """

    formula = "1/K Σₖ q(z | {input_k})\nuₖ learned pseudo-inputs"
    about = "The prior is the average of the posteriors of learned pseudo-images: codes gather where those are encoded."
    contexts: Tensor | None

    def __init__(
        self,
        shape: tuple[int, ...],
        context: tuple[int, ...],
        components: int,
        encoder: Encoder,
        posterior: nn.Module,
        unit: float = 1.0,
    ) -> None:
        super().__init__(encoder, posterior)
        self.unit = unit
        self.inputs = nn.Parameter(torch.rand(components, *shape))
        self.register_buffer("contexts", torch.zeros(components, *context) if context else None)

    def stored(self) -> tuple[Tensor, Tensor | None]:
        return self.inputs, self.contexts

    @property
    def images(self) -> Tensor:
        """The pseudo-inputs as the encoder reads them: bytes are learned in units of 255, so that steps move them."""
        return self.inputs * self.unit

    def initialise(self, x: Tensor, y: Tensor | None = None) -> None:
        """Start from training images x (K, *shape); what is missing in one starts at the mean of the others."""
        mean = x.nanmean(0).nan_to_num()
        super().initialise(torch.where(x.isnan(), mean, x) / self.unit, y)

    def forward(self, y: Tensor | None = None) -> dist.TorchDistribution:
        parts = self.encoded(self.images, self.contexts)
        gaussian = isinstance(parts, dist.Independent) and isinstance(parts.base_dist, dist.Normal)
        mixture = GaussianMixture if gaussian else PosteriorMixture
        return mixture(dist.Categorical(logits=self.inputs.new_zeros(len(self.inputs))), parts)

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor | None:
        """Return the log-density of z, or None if the posterior does not write out its own."""
        encoder, posterior = self.shared
        log_q = declared(posterior, "log_density")
        if log_q is None:
            return None
        h, k = encoder(self.images, self.contexts), len(self.inputs)
        return log_equal_mixture(lambda code: log_q(h, code.expand(k, -1)), k, z)

    @property
    def numbers(self) -> int:
        """About how many numbers scoring one code takes: one per component, or, with a flow, the features of each."""
        encoder, _ = self.shared
        each = 1 if isinstance(self(), GaussianMixture) else encoder.features
        return len(self.inputs) * each


class PosteriorMixture(dist.MixtureSameFamily):
    """A mixture that repeats each value for every component, because the flow of a posterior does not broadcast."""

    def log_prob(self, value: Tensor) -> Tensor:
        weights = torch.log_softmax(self.mixture_distribution.logits, -1)
        value = value.unsqueeze(-2).expand(*value.shape[:-1], weights.shape[-1], value.shape[-1])  # (..., K, latent)
        return torch.logsumexp(weights + self.component_distribution.log_prob(value), -1)

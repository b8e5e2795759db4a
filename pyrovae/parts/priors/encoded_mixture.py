"""The base of priors that place a mixture component at the encoding of each of K images."""

from abc import ABC, abstractmethod

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from pyrovae.parts.networks.network import Encoder
from pyrovae.parts.priors.levels import Levels, Values


class EncodedMixture(nn.Module, ABC):
    """An equal mixture of K components, each made from the posterior q(z | x_k) at one of K images.

    A subclass says where the images and their contexts are stored (`stored`), and returns the mixture from `forward`.
    Given a context, each component keeps that of its own image, so p(z) is the same for every y.
    """

    started: Tensor

    def __init__(self, encoder: Encoder, posterior: nn.Module) -> None:
        super().__init__()
        self.register_buffer("started", torch.tensor(False))
        self.shared = (encoder, posterior)  # a tuple: as attributes, these modules would be saved again with the prior

    @abstractmethod
    def stored(self) -> tuple[Tensor | Levels | Values, Tensor | Levels | Values | None]:
        """Return the images (K, C, H, W) or vectors (K, D), and their contexts (K, ...) or None."""

    def initialise(self, x: Tensor, y: Tensor | None = None) -> None:
        """Start from training images x (K, *shape) and their contexts y; a prior that has started keeps its own."""
        if self.started:
            return
        images, contexts = self.stored()
        with torch.no_grad():
            self.started.fill_(True)
            images.copy_(x)
            if contexts is not None and y is not None:
                contexts.copy_(y)

    def encoded(self, images: Tensor, contexts: Tensor | None) -> TorchDistribution:
        """Return the posteriors q(z | x_k, y_k) of these images."""
        encoder, posterior = self.shared
        return posterior(encoder(images, contexts))

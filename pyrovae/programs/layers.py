"""The guides of a hierarchical program: how its codes are inferred, layer by layer."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyro
import pyro.distributions as dist
from torch import Tensor, nn

from pyrovae.errors import InputError
from pyrovae.inference.effects import known_mean
from pyrovae.parts.networks.context import joined
from pyrovae.parts.posteriors.gaussian import Diagonal


class Layers(NamedTuple):
    """The sizes of the layers, and what makes their parts."""

    latent_dim: Sequence[int]  # of z1, z2, ..., zL
    hidden: Sequence[int]  # the widths of the hidden layers between two codes, upwards
    features: int  # how many numbers the encoder returns for an image
    make_hidden: Callable[[int, Sequence[int]], nn.Module]  # hidden layers, from the number of inputs and their widths
    make_posterior: Callable[[int, int], nn.Module]  # from the numbers of features and of dimensions

    def names(self) -> list[str]:
        return [f"z{layer + 1}" for layer in range(len(self.latent_dim))]

    def priors(self) -> nn.ModuleList:
        """Make p(zl | zl+1) for all codes but the top one: diagonal Gaussians."""
        return nn.ModuleList(
            nn.Sequential(self.make_hidden(above, self.hidden[::-1]), Diagonal(self.hidden[0], dimensions))
            for dimensions, above in zip(self.latent_dim, self.latent_dim[1:])
        )

    def upwards(self) -> nn.ModuleList:
        """Make the hidden layers that lead from the features of each layer to those of the next."""
        lower = [self.features, *[self.hidden[-1]] * (len(self.latent_dim) - 2)]
        return nn.ModuleList(self.make_hidden(inputs, self.hidden) for inputs in lower)

    def posteriors(self, features: Sequence[int]) -> nn.ModuleList:
        """Make the posterior of each code, from so many features. Raises ValueError for one that has no density."""
        posteriors = nn.ModuleList(map(self.make_posterior, features, self.latent_dim))
        if not all(getattr(posterior, "density", True) for posterior in posteriors):
            raise ValueError("posterior: expected one that is a density for program hierarchical, got a point")
        return posteriors


class BottomUp(nn.Module):
    """z1 ~ q(z1 | x), z2 ~ q(z2 | z1), ...: each code is inferred from the one below."""

    def __init__(self, layers: Layers, priors: nn.ModuleList) -> None:
        super().__init__()
        between = [layers.hidden[-1]] * len(priors)
        self.names = layers.names()
        self.bodies = nn.ModuleList(layers.make_hidden(below, layers.hidden) for below in layers.latent_dim[:-1])
        self.posteriors = layers.posteriors([layers.features, *between])

    def forward(self, h: Tensor) -> Tensor:
        """Draw the codes for the encoder's features (n, features); return that of the top."""
        z = pyro.sample(self.names[0], self.posteriors[0](h))
        for name, body, posterior in zip(self.names[1:], self.bodies, self.posteriors[1:]):
            z = pyro.sample(name, posterior(body(z)))
        return z

    def top(self, h: Tensor) -> Tensor:
        """Return the features from which the top code is inferred, where the codes below are at their means."""
        for body, posterior in zip(self.bodies, self.posteriors):
            mean = known_mean(posterior(h))
            if mean is None:
                raise InputError(
                    "prior: expected a posterior whose mean is known, to encode images bottom up, got one without"
                )
            h = body(mean)
        return h


class TopDown(nn.Module):
    """zL ~ q(zL | x), zL-1 ~ q(zL-1 | x, zL), ...: each code is inferred from the image and the code above."""

    def __init__(self, layers: Layers, priors: nn.ModuleList) -> None:
        super().__init__()
        width = layers.hidden[-1]
        lower = [layers.features, *[width] * len(priors)][: len(priors)]
        self.names = layers.names()
        self.bodies = layers.upwards()
        self.joins = nn.ModuleList(
            layers.make_hidden(features + above, [width]) for features, above in zip(lower, layers.latent_dim[1:])
        )
        self.posteriors = layers.posteriors([width] * len(layers.latent_dim))

    def forward(self, h: Tensor) -> Tensor:
        """Draw the codes for the encoder's features (n, features); return that of the top."""
        *lower, h = self._features(h)
        top = z = pyro.sample(self.names[-1], self.posteriors[-1](h))
        for layer, h in reversed([*enumerate(lower)]):
            z = pyro.sample(self.names[layer], self.given(layer, h, z))
        return top

    def top(self, h: Tensor) -> Tensor:
        """Return the features from which the top code is inferred."""
        return self._features(h)[-1]

    def given(self, layer: int, h: Tensor, z: Tensor) -> dist.TorchDistribution:
        """Return q(zl | x, zl+1) for the features of layer l and the code above."""
        q: dist.TorchDistribution = self.posteriors[layer](self.joins[layer](joined(h, z, 1)))
        return q

    def _features(self, h: Tensor) -> list[Tensor]:
        features = [h]
        for body in self.bodies:
            features.append(body(features[-1]))
        return features


class Ladder(TopDown):
    """As `TopDown`, where q(zl | x, zl+1) is N(zl; μ(x), diag σ(x)²) times p(zl | zl+1), normalised."""

    def __init__(self, layers: Layers, priors: nn.ModuleList) -> None:
        nn.Module.__init__(self)
        self.names, self.bodies = layers.names(), layers.upwards()
        self.posteriors = layers.posteriors([layers.features, *[layers.hidden[-1]] * len(priors)])
        if not all(isinstance(posterior, Diagonal) for posterior in self.posteriors):
            raise ValueError(
                "posterior: expected diagonal for --inference ladder, which multiplies it by a Gaussian, got another"
            )
        self.priors = (priors,)  # a tuple: as an attribute they would be saved again with the guide

    def given(self, layer: int, h: Tensor, z: Tensor) -> dist.TorchDistribution:
        return product(self.posteriors[layer](h), self.priors[0][layer](z))


def product(q: dist.Independent, p: dist.Independent) -> dist.TorchDistribution:
    """Return the normalised product of two diagonal Gaussians: precisions add, and weigh the means."""
    (m1, s1), (m2, s2) = ((each.base_dist.loc, each.base_dist.scale) for each in (q, p))
    precision = s1**-2 + s2**-2
    return dist.Normal((m1 * s1**-2 + m2 * s2**-2) / precision, precision**-0.5).to_event(1)  # type: ignore[no-any-return]


GUIDES: dict[str, type[BottomUp | TopDown]] = {"bottom_up": BottomUp, "top_down": TopDown, "ladder": Ladder}

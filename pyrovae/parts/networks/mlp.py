"""Fully connected networks."""

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from pyrovae.parts.networks.context import as_vectors, joined, units
from pyrovae.parts.networks.network import Encoder, Shape


class MLP:
    """Fully connected layers of the widths `hidden`, in reverse order in the decoder; the context is concatenated."""

    def __init__(
        self, shape: Shape, hidden: Sequence[int], activation: type[nn.Module] = nn.ReLU, unit: float = 1.0
    ) -> None:
        self.shape, self.hidden, self.activation, self.unit = tuple(shape), tuple(hidden), activation, unit

    def encoder(self, context: Shape = ()) -> "MLPEncoder":
        body = self.layers(math.prod(self.shape) + units(context), self.hidden)
        return MLPEncoder(body, self.hidden[-1], context, self.unit, len(self.shape))

    def decoder(self, latent_dim: int, features: int, context: Shape = ()) -> "MLPDecoder":
        out = (features, *self.shape)
        body = self.layers(latent_dim + units(context), self.hidden[::-1])
        return MLPDecoder(body.append(nn.Linear(self.hidden[0], math.prod(out))), out, context, self.unit)

    def layers(self, units: int, widths: Sequence[int]) -> nn.Sequential:
        """Return hidden layers of these widths for vectors of `units` inputs."""
        layers = nn.Sequential()
        for width in widths:
            layers.extend(self.layer(units, width))
            units = width
        return layers

    def layer(self, units: int, width: int) -> list[nn.Module]:
        """Return one hidden layer, from `units` inputs to `width` outputs; a subclass may build it differently."""
        return [nn.Linear(units, width), self.activation()]


class LinearDecoder(MLP):
    """An MLP as the encoder, and a linear decoder W z + b, whose weights say what each dimension stands for.

    With the likelihood `gaussian` it is probabilistic PCA, or factor analysis with `--scale pixel`, with an amortised
    guide. Svensson et al. (2020), Interpretable factor models of single-cell RNA-seq via variational autoencoders.
    """

    def decoder(self, latent_dim: int, features: int, context: Shape = ()) -> "MLPDecoder":
        out = (features, *self.shape)
        body = nn.Sequential(nn.Linear(latent_dim + units(context), math.prod(out)))
        return MLPDecoder(body, out, context, self.unit)


class GatedMLP(MLP):
    """An MLP with gated layers h = (A x + a) ∘ σ(B x + b), as in the VampPrior paper, and so without `activation`.

    Dauphin et al. (2017), arXiv:1612.08083; Tomczak & Welling (2018), arXiv:1705.07120.
    """

    def __init__(self, shape: Shape, hidden: Sequence[int], unit: float = 1.0) -> None:
        super().__init__(shape, hidden, unit=unit)

    def layer(self, units: int, width: int) -> list[nn.Module]:
        return [nn.Linear(units, 2 * width), nn.GLU()]


class MLPEncoder(Encoder):
    """Runs `body` on the pixels of the image and the entries of the context, side by side in one vector.

    `dims` is 3 for images (..., C, H, W) and 1 for vectors (..., D).
    """

    def __init__(self, body: nn.Sequential, features: int, context: Shape, unit: float, dims: int = 3) -> None:
        super().__init__()
        self.body, self.features, self.context, self.unit, self.dims = body, features, context, unit, dims

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = (x / self.unit if self.unit != 1 else x).flatten(-self.dims)
        if y is None:
            return self.body(h)
        y = as_vectors(y, self.unit, self.context)
        first, others = next(iter(self.body), None), [*self.body][1:]
        if h.shape[:-1] == y.shape[:-1] or not isinstance(first, nn.Linear):
            return self.body(joined(h, y, 1))
        # Each image comes with several contexts, as with every label that is summed over: multiply it only once.
        of_image, of_context = first.weight.split([h.shape[-1], y.shape[-1]], 1)
        h = F.linear(h, of_image) + F.linear(y, of_context, first.bias)
        for layer in others:
            h = layer(h)
        return h


class MLPDecoder(nn.Module):
    """Runs `body` on the code and the entries of the context, and reshapes the result to `out`: (features, *shape)."""

    def __init__(self, body: nn.Sequential, out: Shape, context: Shape, unit: float) -> None:
        super().__init__()
        self.body, self.out, self.context, self.unit = body, out, context, unit

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if y is not None:
            z = joined(z, as_vectors(y, self.unit, self.context), 1)
        return self.body(z).unflatten(-1, self.out)

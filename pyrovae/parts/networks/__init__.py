"""Networks: the bodies of encoder and decoder, which map tensors to tensors. One kind a file.

A network is a class that builds two modules for images of one shape:

- `encoder(context)` maps images (..., C, H, W), and a context if there is one, to (..., features). It states
  `features`.
- `decoder(latent_dim, features, context)` maps codes (..., latent_dim), and a context if there is one, to
  (..., features, C, H, W).

`context` is the shape of one y, or () in an unconditional model: (K,) for a vector, (C, H, W) for an image. The modules
then receive y as (..., K) or (..., C, H, W). The dimensions before are images, after particles and after the values of
a discrete latent that is summed over; those of images, codes and contexts are broadcast.

Its constructor may ask, by the names of its parameters, for `shape` (C, H, W), `activation` (a class of module), `unit`
(what to divide pixels by, so that they are of order 1: 255 for bytes, else 1) and for any setting of `Config`. It
raises `ValueError` for images of a size that it cannot take. For example:

    class Linear:
        def __init__(self, shape: tuple[int, ...]) -> None:
            self.shape = shape

        def encoder(self, context: tuple[int, ...] = ()) -> nn.Module:
            return MLPEncoder(nn.Sequential(), math.prod(self.shape) + math.prod(context or (0,)), context, 1.0)

        def decoder(self, latent_dim: int, features: int, context: tuple[int, ...] = ()) -> nn.Module:
            out = (features, *self.shape)
            body = nn.Sequential(nn.Linear(latent_dim + math.prod(context or (0,)), math.prod(out)))
            return MLPDecoder(body, out, context, 1.0)

Add it to `NETWORKS` below, or use it from your own file: `--network FILE.py:Linear`.
"""

from torch import nn

from pyrovae.parts.networks.conv import Conv
from pyrovae.parts.networks.mlp import MLP, GatedMLP, LinearDecoder
from pyrovae.parts.networks.network import Network
from pyrovae.parts.networks.resnet import ResNet

__all__ = ["ACTIVATIONS", "MLP", "NETWORKS", "Conv", "GatedMLP", "LinearDecoder", "Network", "ResNet"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}

NETWORKS: dict[str, type[Network]] = {
    "mlp": MLP,
    "gated": GatedMLP,
    "linear_decoder": LinearDecoder,
    "conv": Conv,
    "resnet": ResNet,
}

"""Bodies of encoders and decoders: tensors in, tensors out. One kind a file.

A network builds, for images of `shape`, an `encoder(context)` and a `decoder(latent_dim, features, context)`. An
encoder maps an image (n, C, H, W) and perhaps a context to (n, encoder.features), which a posterior reads. A decoder
maps a code (..., latent) and perhaps a context to (..., features, C, H, W), which a likelihood reads. A context is a
vector (n, K) or an image (n, C, H, W). Images are divided by `unit` first: 255 for bytes, else 1.
"""

from torch import nn

from pyrovae.parts.networks.conv import Conv
from pyrovae.parts.networks.mlp import MLP, GatedMLP
from pyrovae.parts.networks.resnet import ResNet

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}

NETWORKS = {"mlp": MLP, "gated": GatedMLP, "conv": Conv, "resnet": ResNet}

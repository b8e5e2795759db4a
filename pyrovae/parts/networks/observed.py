"""Encoders around an encoder: for values that are missing, for counts, and for columns of several kinds."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyrovae.parts.kinds import Kind, encoded
from pyrovae.parts.kinds import width as width_of
from pyrovae.parts.networks.network import Encoder, Network, Shape


class Reading:
    """A network like `network`, whose encoders are those of `encoding`, each inside the `wrappers`, one by one."""

    def __init__(self, network: Network, encoding: Network, wrappers: Sequence[Callable[[Encoder], Encoder]]) -> None:
        self.network, self.encoding, self.wrappers = network, encoding, wrappers

    def encoder(self, context: Shape = ()) -> Encoder:
        encoder = self.encoding.encoder(context)
        for wrap in self.wrappers:
            encoder = wrap(encoder)
        return encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


class Observed(Encoder):
    """Encodes images or vectors of `shape` with missing values, NaN: as 0, beside a mask that is 1 where one is there.

    The mask follows as further channels or entries, so `encoder` is one for `doubled(shape)`. Both are divided by the
    share that is there, so that the layers after are given as much of a whole image as of one with gaps. Nazábal et al.
    (2020), arXiv:1807.03653; the mask as an input: Ma et al. (2019), arXiv:1809.11142; the share: Yi et al. (2020),
    arXiv:1906.00150.
    """

    def __init__(self, encoder: Encoder, shape: Shape, unit: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.features = encoder, encoder.features
        self.axis, self.unit = -len(shape), unit

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        missing = x.isnan()
        seen = (~missing).to(x) * self.unit  # in the units of the values, which the network divides by
        read = torch.cat([torch.where(missing, 0.0, x), seen], self.axis)
        h: Tensor = self.encoder(read / _share(x, tuple(range(self.axis, 0))), y)
        return h


def _share(x: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    """Return the share of values that are there, but a quarter where it is less: one value must not count as all."""
    return 1 - x.isnan().to(x).mean(dims, keepdim=True).clamp_max(0.75)


class Logarithms(Encoder):
    """Encodes counts as log(1 + x), as Lopez et al. (2018) do: they may differ by orders of magnitude."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.features = encoder, encoder.features

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h: Tensor = self.encoder((1 + x).log(), y)
        return h


class ByKind(Encoder):
    """Encodes the rows of a table by the kinds of its columns: scaled numbers, and categories as one-hot vectors.

    Where a value is missing, NaN, its inputs are 0; if there may be such, a mask follows, and all is divided by the
    share that is there, as in `Observed`.
    """

    def __init__(self, encoder: Encoder, kinds: Sequence[Kind], missing: bool) -> None:
        super().__init__()
        self.encoder, self.features = encoder, encoder.features
        self.kinds, self.missing = tuple(kinds), missing

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        read = encoded(self.kinds, x).nan_to_num(0.0)
        if self.missing:
            read = torch.cat([read, (~x.isnan()).to(x)], -1) / _share(x, -1)
        h: Tensor = self.encoder(read, y)
        return h


def width(kinds: Sequence[Kind], missing: bool) -> int:
    """Return how many numbers `ByKind` makes of a row."""
    return width_of(kinds) + missing * len(kinds)


def doubled(shape: Shape) -> Shape:
    """Return the shape of an observation beside its mask: (2 C, H, W) for images, (2 D,) for vectors."""
    return (2 * shape[0], *shape[1:])

"""A VAE's encoder and decoder as programs for the page, with pictures in [0, 1] in and out."""

from dataclasses import dataclass
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, distributions

from pyrovae.data.pixels import Pixels
from pyrovae.errors import InputError
from pyrovae.inference.private import unbroadcasted
from pyrovae.pages.explorer.operations import OPERATIONS
from pyrovae.pages.explorer.program import trace
from pyrovae.pages.explorer.rounding import rounded
from pyrovae.pages.explorer.steps import Steps
from pyrovae.pages.explorer.store import Store
from pyrovae.parts.contexts import Quadrants
from pyrovae.program import known_mean, mean_of
from pyrovae.vae import VAE

# By how much rounding may change pictures in [0, 1] and codes, where that is tried; elsewhere it may be twice as much.
# The width of a posterior is only drawn. The mean of draws is off by some hundredths as it is.
MAY_CHANGE = {"image": 3e-5, "mean": 4e-5, "variance": 4e-4, "factor": 4e-4}
MAY_CHANGE_DRAWS = {"mean": 3e-3, "draws": 1e-2}
DRAWS = 100  # of a posterior that no ellipse describes
Args = dict[str, Tensor]


@dataclass(frozen=True)
class Asked:
    """What the page asks of a model. y is of labels, one-hot (1, classes); u are pictures in [0, 1], (1, C, H, W)."""

    vae: VAE
    pixels: Pixels

    def decode(self, z: Tensor, y: Tensor | None = None, u: Tensor | None = None) -> Args:
        """The mean of p(x | z, y) as a picture; a model of quadrants sees those of u."""
        context = self._context(y, u)
        x = mean_of(self.vae.likelihood(self.vae.decoder(z, context)))
        if context is not None and isinstance(self.vae.context, Quadrants):
            x = torch.where(self.vae.context.seen, context, x)
        return {"image": self.pixels.to_unit(x)}

    def encode(self, u: Tensor, y: Tensor | None = None) -> Args:
        """Q(z | x, y): its `mean`, and its covariance as `factor` factorᵀ + diag `variance`, or `draws` from it."""
        return told(self.vae.posterior(self.vae.encoder(self._read(u), self._context(y, u))))

    def _read(self, u: Tensor) -> Tensor:
        """Pictures as the model sees them; binary ones stay as they are drawn."""
        if self.pixels.protocol == "bytes":
            return u * 255
        return (u - self.pixels.mean) / self.pixels.std if self.pixels.protocol == "standardized" else u

    def _context(self, y: Tensor | None, u: Tensor | None) -> Tensor | None:
        context = self.vae.context
        if context is None or u is None:
            return y
        return context(self._read(u)) if context.reads == "images" else y


def told(q: TorchDistribution) -> Args:
    """A distribution over codes of one image in tensors of one row."""
    base = q.base_dist if isinstance(q, distributions.Independent) else q
    if isinstance(base, distributions.Normal):
        return {"mean": base.loc, "variance": base.scale.square()}
    if isinstance(base, distributions.LowRankMultivariateNormal):
        return {
            "mean": base.loc,
            "variance": unbroadcasted(base, "cov_diag"),
            "factor": unbroadcasted(base, "cov_factor"),
        }
    if isinstance(base, distributions.MultivariateNormal):
        return {"mean": base.loc, "factor": unbroadcasted(base, "scale_tril")}
    if q.has_rsample and known_mean(q) is None:
        draws = q.rsample(torch.Size([DRAWS]))  # (draws, 1, latent)
        return {"mean": draws.mean(0), "draws": draws}
    return {"mean": mean_of(q)}


def export(asked: Asked, store: Store, seed: int, codes: Tensor, contexts: Args, pictures: Args) -> dict[str, Any]:
    """Decoder and encoder for the page, their numbers in `store`, and by how much rounding changes what they answer.

    `codes` (n, latent) with their `contexts`, and `pictures` with theirs, are what they are tried on.
    """
    decoder = _exported("a decoder", asked.decode, store, seed, {"z": codes} | contexts)
    encoder = _exported("an encoder", asked.encode, store, seed, pictures)
    return {"decoder": decoder, "encoder": encoder}


def _exported(what: str, function: Any, store: Store, seed: int, tried: Args) -> dict[str, Any]:
    samples = [[part[row : row + 1] for part in tried.values()] for row in range(_length(tried))]
    program = trace(what, function, seed, **dict(zip(tried, samples[0])))
    for name, answer in program.answer(program.held, *samples[0]).items():
        if not answer.isfinite().all():
            raise InputError(f"explore: expected {what} that returns finite numbers, got others in its {name}")
    may_change = MAY_CHANGE | (MAY_CHANGE_DRAWS if "draws" in program.outputs else {})
    held, changes = rounded(program, samples, may_change)
    return Steps(what, program, held, OPERATIONS, store, *samples[0]).told() | {"changes": changes}


def _length(tried: Args) -> int:
    (length,) = {len(part) for part in tried.values()}
    return length

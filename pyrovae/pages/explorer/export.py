"""Exports a VAE's decoder and encoder as programs for the page, whose pictures have values in [0, 1]."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, distributions

from pyrovae.data.pixels import Pixels
from pyrovae.errors import InputError
from pyrovae.inference.effects import known_mean, mean_of
from pyrovae.inference.private import unbroadcasted
from pyrovae.pages.explorer.operations import OPERATIONS
from pyrovae.pages.explorer.program import trace_program
from pyrovae.pages.explorer.rounding import round_weights
from pyrovae.pages.explorer.steps import ProgramSteps, Steps
from pyrovae.pages.explorer.store import Store
from pyrovae.parts.contexts import Quadrants
from pyrovae.program import Program

# By how much rounding may change each output on the calibration inputs; on others it may change about twice as much.
# Variance and factor are only drawn, as ellipses. The mean of draws has a sampling error of some hundredths anyway.
TOLERANCES = {"image": 3e-5, "mean": 4e-5, "variance": 4e-4, "factor": 4e-4}
TOLERANCES_OF_DRAWS = {"mean": 3e-3, "draws": 1e-2}
DRAWS = 100  # draws from a posterior that is no ellipse
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class PictureModel:
    """Decodes and encodes with a VAE, from and to pictures in [0, 1].

    Shapes: z (n, latent), y one-hot labels (n, classes), u pictures (n, C, H, W).
    """

    vae: Program
    pixels: Pixels

    def decode(self, z: Tensor, y: Tensor | None = None, u: Tensor | None = None) -> Tensors:
        """Return `image`, the mean of p(x | z, y); if y is quadrants of a picture, they are copied from u."""
        context = self._context(y, u)
        x = mean_of(self.vae.image_distribution(z, context))
        if context is not None and isinstance(self.vae.context, Quadrants):
            x = torch.where(self.vae.context.seen, context, x)
        return {"image": self.pixels.to_unit(x)}

    def encode(self, u: Tensor, y: Tensor | None = None) -> Tensors:
        """Return q(z | x, y) as tensors: see `posterior_tensors`."""
        return posterior_tensors(self.vae.code_distribution(self.as_read(u), self._context(y, u)))

    def as_read(self, u: Tensor) -> Tensor:
        """Convert pictures to the pixels that the model reads; binary protocols leave grey as it is."""
        if self.pixels.protocol == "bytes":
            return u * 255
        return self.pixels.standardized(u) if self.pixels.protocol in ("dequantised", "standardized") else u

    def _context(self, y: Tensor | None, u: Tensor | None) -> Tensor | None:
        context = self.vae.context
        if context is None or u is None:
            return y
        return context(self.as_read(u)) if context.reads == "images" else y


@dataclass(frozen=True)
class Calibration:
    """The inputs on which rounding may change the outputs only a little: by argument, a tensor with one row each."""

    decoder: Tensors  # z, and y or u where the model has a context
    encoder: Tensors  # u, and y for a model of labels


class ExportedProgram(ProgramSteps):
    """A program for the page, and the largest change of each output by the rounding."""

    changes: dict[str, float]


def posterior_tensors(q: TorchDistribution) -> Tensors:
    """Describe the distribution of one image's code by tensors that a page can draw.

    A Gaussian gives its `mean` (1, latent) and its covariance, `factor` factorᵀ + diag `variance`, or one of these two
    terms. A distribution whose mean torch does not know gives `draws` (100, 1, latent) and their mean. Any other one
    gives its `mean` alone.
    """
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


def export(
    model: PictureModel, store: Store, seed: int, calibration: Calibration
) -> tuple[ExportedProgram, ExportedProgram]:
    """Return the decoder and the encoder of `model` as programs for the page; their rounded weights go to `store`.

    Raises `InputError` for an operation that the page does not have, or for outputs that are not finite.
    """
    decoder = _exported("a decoder", model.decode, store, seed, calibration.decoder)
    encoder = _exported("an encoder", model.encode, store, seed, calibration.encoder)
    return decoder, encoder


def _exported(what: str, function: Callable[..., Tensors], store: Store, seed: int, inputs: Tensors) -> ExportedProgram:
    (count,) = {len(rows) for rows in inputs.values()}
    samples = [[rows[i : i + 1] for rows in inputs.values()] for i in range(count)]
    program = trace_program(what, function, seed, **dict(zip(inputs, samples[0])))
    for name, output in program.outputs_for(program.constants, *samples[0]).items():
        if not output.isfinite().all():
            raise InputError(f"explore: expected {what} that returns finite numbers, got others in its {name}")
    tolerances = TOLERANCES | (TOLERANCES_OF_DRAWS if "draws" in program.outputs else {})
    constants, changes = round_weights(program, samples, tolerances)
    return {**Steps(what, program, constants, OPERATIONS, store, *samples[0]).result(), "changes": changes}

"""Make the estimator that a config names, and check that program, data and config fit together."""

from collections.abc import Mapping

import torch

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.errors import InputError
from pyrovae.evaluation.elbo import expect_reads
from pyrovae.inference.objectives import OBJECTIVES, SUMMED, TraceELBO
from pyrovae.inference.processes import size
from pyrovae.inference.sites import Site
from pyrovae.parts.contexts import Label
from pyrovae.parts.registry import call, lookup
from pyrovae.program import Program


def expect_fitting(vae: Program, data: Data, config: Config, device: torch.device) -> None:
    """Raise `InputError` if the config asks for what `device`, the data or the model cannot give."""
    if config.precision == "tf32" and device.type != "cuda":
        raise InputError(f"precision: expected fp32 or bf16 on {device.type}, got 'tf32'")
    if data.pixels.protocol != config.pixels:
        raise InputError(f"pixels: expected data of the config's {config.pixels!r}, got {data.pixels.protocol!r}")
    if isinstance(vae.context, Label) and vae.context.shape[0] != len(data.classes):
        raise InputError(f"data: expected the {vae.context.shape[0]} classes of the model, got {len(data.classes)}")
    if isinstance(vae.context, Label):
        sets = [images for images in (data.train, data.validation, data.test) if images is not None]
        if unknown := sum(int((~images.known()).sum()) for images in sets if images.labels is not None):
            raise InputError(f"data: expected a label of every image, as the model is given it, got {unknown} without")
    expect_reads(vae, data, data.missing)
    if config.labelled_batch and not data.train.known().any():
        raise InputError(f"labelled_batch: expected 0, as no training image has a label, got {config.labelled_batch}")
    last = len(data.train) % config.batch_size or min(config.batch_size, len(data.train))
    for name, n in {"batch_size": last, "dataset": len(data.test)}.items():
        if n < size():
            raise InputError(f"{name}: expected an image for each of {size()} processes in every batch, got {n}")


def objective_of(config: Config, vae: Program, sites: Mapping[str, Site]) -> TraceELBO:
    """Return the estimator whose loss SVI minimises. Raises `InputError` if it does not fit the program's sites.

    Where the guide sums over sites, it is the estimator of that name that does, of `SUMMED`.
    """
    estimator = lookup("objective", config.objective, OBJECTIVES)
    if summed := [name for name, site in sites.items() if site.summed]:
        _expect_sum(config, summed[0])
        estimator = SUMMED[config.objective]
    if getattr(estimator, "weighs_particles", False) and config.particles == 1:
        raise InputError(f"particles: objective {config.objective!r} expects 2 or more (1 is the elbo), got 1")
    if config.free_bits and not vae.has_kl:
        raise InputError(f"free_bits: expected 0, as posterior {config.posterior!r} has no KL, got {config.free_bits}")
    particles = {"num_particles": config.particles, "vectorize_particles": config.particles > 1}
    objective: TraceELBO = call("objective", estimator, config.model_dump() | particles | {"max_plate_nesting": 1})
    if not hasattr(objective, "terms"):
        raise InputError(f"objective: expected an estimator with terms, as TraceELBO, got {config.objective!r}")
    return objective


def _expect_sum(config: Config, site: str) -> None:
    """Raise `InputError` for settings that no estimator offers which sums over a site."""
    why = f"as program {config.program!r} sums over {site}"
    if config.objective not in SUMMED:
        raise InputError(f"objective: expected {' or '.join(SUMMED)}, {why}, got {config.objective!r}")
    if config.free_bits:
        raise InputError(f"free_bits: expected 0, {why}, got {config.free_bits}")

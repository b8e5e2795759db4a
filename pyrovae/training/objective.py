"""Make the estimator that a config names, and check that program, data and config fit together."""

from collections.abc import Mapping

import torch

from pyrovae.config.settings import Config, group_of
from pyrovae.data.data import Data
from pyrovae.errors import InputError
from pyrovae.evaluation.elbo import expect_reads
from pyrovae.inference.objectives import OBJECTIVES, SUMMED, TraceELBO
from pyrovae.inference.processes import size
from pyrovae.inference.sites import Site
from pyrovae.parts.contexts import Label
from pyrovae.parts.registry import call, lookup, parameters_of
from pyrovae.program import Program

OF_KL = ("beta", "warmup", "cycle", "free_bits")  # settings of the KL term's weight
WITHOUT_KL = ("elbo", "mmd")  # the objectives that are different ones without a density of the guide


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
    _expect_effect(vae, config)
    if config.labelled_batch and not data.train.known().any():
        raise InputError(f"labelled_batch: expected 0, as no training image has a label, got {config.labelled_batch}")
    last = len(data.train) % config.batch_size or min(config.batch_size, len(data.train))
    for name, n in {"batch_size": last, "dataset": len(data.test)}.items():
        if n < size():
            raise InputError(f"{name}: expected an image for each of {size()} processes in every batch, got {n}")


def without_effect(vae: Program, config: Config) -> dict[str, str]:
    """Name the settings of model and objective that are chosen and that nothing reads; with what to do about each."""
    estimator = lookup("objective", config.objective, OBJECTIVES)
    read = {*parameters_of(estimator), *OF_KL, "objective", "particles"}
    reasons = {}
    for name in config.differing():
        if group_of(Config.model_fields[name]) == "Objective" and name not in read:
            readers = " or ".join(known for known, member in OBJECTIVES.items() if name in parameters_of(member))
            reasons[name] = f"objective {config.objective!r} does not read it ({readers} does)"
        if name in OF_KL and not vae.has_kl:
            reasons[name] = f"posterior {config.posterior!r} has no KL"
    return {**vae.unread} | {name: config.unread(name, why) for name, why in reasons.items()}


def _expect_effect(vae: Program, config: Config) -> None:
    """Raise `InputError` for settings that change nothing, or not what they seem to."""
    for message in without_effect(vae, config).values():
        raise InputError(message)
    for name in ("warmup", "cycle"):
        if getattr(config, name) > config.epochs:
            raise InputError(f"{name}: expected at most the epochs, {config.epochs}, got {getattr(config, name)}")
    if config.patience and config.patience < config.warmup:
        raise InputError(
            f"patience: expected {config.warmup} or more, so that no training stops while the weight of the KL rises,"
            f" in warmup = {config.warmup} epochs, got {config.patience}"
        )
    if not vae.has_kl and config.objective in OBJECTIVES and config.objective not in WITHOUT_KL:
        raise InputError(
            f"objective: expected {' or '.join(WITHOUT_KL)}, as posterior {config.posterior!r} has no density, got"
            f" {config.objective!r}"
        )


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

"""Measure how noisy each objective's gradient is at the weights of a run."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import torch
from pyro import poutine
from torch import Tensor, nn

from pyrovae.errors import InputError, at_least
from pyrovae.evaluation.elbo import arguments
from pyrovae.inference import choose_device, seeded
from pyrovae.inference.gradient_noise import gradient_noise
from pyrovae.inference.objectives import OBJECTIVES, EnumeratedELBO, TraceELBO
from pyrovae.inference.parameters import hidden
from pyrovae.inference.threads import using
from pyrovae.inference.traces import sample_sites, total
from pyrovae.program import Program
from pyrovae.runs.run import Run

ONE_PARTICLE, SEVERAL_PARTICLES = ("elbo", "analytic", "stl"), ("iwae", "dreg")  # objectives by what they are made for


class Noise(TypedDict):
    """The noise of one gradient, in nats per image: totals over all parameters, and the mean signal-to-noise ratio."""

    variance: float
    squared_mean: float
    snr: float | None  # None: there is no noise


class Row(TypedDict):
    """The noise of one objective's gradients with respect to the parameters of guide and model."""

    objective: str  # or the estimator of the elbo's gradient, for a program that has several
    particles: int
    guide: Noise
    model: Noise


def gradients(
    run: Run | Path | str,
    draws: int = 200,
    images: int = 128,
    particles: Sequence[int] = (8, 64),
    seed: int = 0,
    device: str = "auto",
) -> list[Row]:
    """Measure the noise of the objectives' gradients at the weights of `run`, and write gradients.json.

    For the parameters of guide and model: the variance, summed over all, and the mean ratio of a gradient's size to its
    standard deviation, over `draws` of the codes for one batch, the first training `images`. Losses are in nats per
    image. `elbo`, `analytic` and `stl` take one particle, `iwae` and `dreg` each number of `particles`. For a program
    whose draws are not reparameterised, the rows are instead the ways in which a gradient gets through them, as
    `score_function`, each for the elbo, with a temperature as after all epochs. Raises `InputError` for a plain
    autoencoder.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = train(Config(epochs=1, warmup=1, device="cpu"), folder + "/run", figures=False)
    ...     for row in gradients(run, draws=3, images=10, particles=[2], device="cpu"):
    ...         print(row["objective"], row["particles"], row["guide"]["variance"] > 0)
    elbo 1 True
    analytic 1 True
    stl 1 True
    iwae 2 True
    dreg 2 True
    """
    opened = run if isinstance(run, Run) else Run(run)
    measurement = GradientNoise(opened, draws, images, particles, seed, device)
    for _ in measurement:
        pass
    measurement.save()
    return measurement.rows


class GradientNoise:
    """Measures the gradient noise of a run step by step, for a caller who shows progress; `gradients` does all of it.

    The loop measures the `cases` in turn and yields the row of each; `save` then writes gradients.json.
    """

    def __init__(
        self,
        run: Run,
        draws: int = 200,
        images: int = 128,
        particles: Sequence[int] = (8, 64),
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        at_least(2, draws=draws)
        at_least(1, images=images)
        at_least(0, seed=seed)
        for count in particles:
            at_least(2, particles=count)
        self.run, self.draws, self.images, self.seed = run, draws, images, seed
        self.device = choose_device(device)
        self.cases = [(name, 1) for name in run.vae.gradients or ONE_PARTICLE]
        self.cases += [(name, count) for name in SEVERAL_PARTICLES for count in particles if not run.vae.gradients]
        self.rows: list[Row] = []

    def __iter__(self) -> Iterator[Row]:
        vae, data = self.run.vae, self.run.data
        if not vae.has_kl:
            raise InputError("gradients: expected a posterior that is a density, to draw from, got a plain autoencoder")
        vae.to(self.device)
        images = data.train[slice(0, self.images)]
        self.images, self.rows = len(images), []
        try:
            for name, particles in self.cases:
                # Binary pixels are drawn, too: every case gets the same batch.
                with seeded(self.seed), using(self.run.config.threads):
                    x, y = arguments(vae, data.batch(images, slice(None)))
                    with _estimated_by(vae, name) as objective:
                        loss = objective(
                            num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1
                        )
                        guide, model = _noise(vae, loss, self.draws, x, y)
                self.rows.append({"objective": name, "particles": particles, "guide": guide, "model": model})
                yield self.rows[-1]
        finally:
            vae.cpu()  # `Run.vae` is on the CPU

    def save(self) -> Path:
        """Write gradients.json."""
        content = {"draws": self.draws, "images": self.images, "seed": self.seed, "gradients": self.rows}
        return self.run.save_evaluation(content, "gradients")


@contextmanager
def _estimated_by(vae: Program, name: str) -> Iterator[type[TraceELBO]]:
    """Yield the objective of a row; inside, the program draws as in training if the row is a way to do so."""
    if name not in vae.gradients:
        yield OBJECTIVES[name]
        return
    before = vae.gradient
    vae.anneal(1.0)
    vae.gradient, vae.training = name, True  # of the program itself: its layers stay in evaluation mode
    try:
        yield EnumeratedELBO if name == "enumeration" else TraceELBO
    finally:
        vae.gradient, vae.training = before, False


def _noise(vae: Program, objective: TraceELBO, draws: int, x: Tensor, y: Tensor | None) -> tuple[Noise, Noise]:
    """Return the noise of the gradients with respect to the guide's and to the model's parameters."""
    trainable = [parameter for parameter in vae.parameters() if parameter.requires_grad]
    guide = _read_by(vae.guide, trainable, x, y)
    of_guide = {id(parameter) for parameter in guide}
    model = [parameter for parameter in trainable if id(parameter) not in of_guide]
    groups = {"guide": guide, "model": model}
    noise = gradient_noise(objective, vae.model, vae.guide, groups, draws, x, y)
    return _per_image(noise["guide"], len(x)), _per_image(noise["model"], len(x))


def _read_by(
    guide: Callable[..., object], parameters: list[nn.Parameter], x: Tensor, y: Tensor | None
) -> list[nn.Parameter]:
    """Return the parameters on which the values or the log-probabilities of the guide's sites depend."""
    with torch.enable_grad(), seeded(0), hidden():
        trace = poutine.trace(guide).get_trace(x, y)
        trace.compute_log_prob()
        depends = total(site["log_prob_sum"] + site["value"].sum() for site in sample_sites(trace).values())
        gradients = torch.autograd.grad(depends, parameters, allow_unused=True)
    return [parameter for parameter, gradient in zip(parameters, gradients) if gradient is not None]


def _per_image(noise: dict[str, float], n: int) -> Noise:
    snr = noise["snr"] if math.isfinite(noise["snr"]) else None
    return {"variance": noise["variance"] / n**2, "squared_mean": noise["squared_mean"] / n**2, "snr": snr}

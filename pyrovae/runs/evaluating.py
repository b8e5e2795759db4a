"""Evaluate a run: write log p(x) of its test images, and a report on its latent space, to evaluation.json.

The estimates of each image go to estimates.safetensors.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.errors import at_least
from pyrovae.evaluation.annealing import annealed_log_likelihoods, compare
from pyrovae.evaluation.bidirectional import simulated_bounds, summarise_bounds
from pyrovae.evaluation.importance import log_likelihoods, summarise
from pyrovae.evaluation.latents import report
from pyrovae.inference import choose_device, seeded
from pyrovae.inference.threads import using
from pyrovae.program import Program
from pyrovae.runs.estimates import Estimates
from pyrovae.runs.files import only_writer
from pyrovae.runs.schema import Evaluation
from pyrovae.runs.summary import measured_on

ANNEALED = 100  # images, at most, on which annealing checks the importance sampling


class Evaluable(Protocol):
    """The part of a `Run` that an evaluation needs."""

    path: Path

    @property
    def trusted(self) -> Config: ...
    @property
    def data(self) -> Data: ...
    @property
    def vae(self) -> Program: ...
    def save_evaluation(self, results: Mapping[str, object], /) -> Path: ...


@dataclass(frozen=True)
class Step:
    """How far an evaluation is: `done` of `total` images of a part, "evaluating", "annealing" or "simulating"."""

    doing: str
    done: int
    total: int


class Evaluating:
    """One evaluation of a run, step by step, for a caller who shows its progress; `Run.evaluate` does all of it.

    The loop does the work and writes both files; `result` is then what evaluation.json holds. Whatever ends the loop
    early, the estimates so far are kept, and `resume` goes on from them to the same numbers. Draw no random numbers
    inside the loop: the estimates would draw others.
    """

    result: Evaluation

    def __init__(
        self,
        run: Evaluable,
        samples: int = 5000,
        images: int | None = None,
        seed: int = 0,
        latents: bool = True,
        ais: bool = False,
        ais_steps: int = 200,
        resume: bool = False,
        device: str = "auto",
    ) -> None:
        at_least(1, samples=samples, ais_steps=ais_steps, **({} if images is None else {"images": images}))
        at_least(0, seed=seed)
        self.run, self.device, self.samples, self.seed = run, choose_device(device), samples, seed
        self.latents, self.ais_steps, self.resume = latents, ais_steps if ais else None, resume
        self._most = images
        self.images = self.done = 0  # images to evaluate, and images evaluated so far
        self.resumable = False  # whether estimates are kept from which `resume` could go on

    def __iter__(self) -> Generator[Step, None, None]:
        # No training may go on from these weights meanwhile.
        with only_writer(self.run.path), using(self.run.trusted.threads):
            vae, data = self.run.vae, self.run.data
            vae.to(self.device)
            try:
                yield from self._steps(vae, data)
            finally:
                vae.cpu()  # `Run.vae` is on the CPU

    def finish(self) -> Evaluation:
        """Do all steps that are left; returns what evaluation.json then holds."""
        for _ in self:
            pass
        return self.result

    def _steps(self, vae: Program, data: Data) -> Iterator[Step]:
        chosen = data.test[slice(0, self._most)]
        self.images = len(chosen)
        estimates = Estimates(
            self.run.path,
            {"samples": self.samples, "images": len(chosen), "seed": self.seed, "device": str(vae.device)},
        )
        with estimates.kept():
            with seeded(self.seed):
                if self.resume:
                    estimates.resume()
                self.done, self.resumable = estimates.done, estimates.done > 0
                for batch in log_likelihoods(vae, data, chosen, self.samples, estimates.done):
                    estimates.add(batch)
                    self.done, self.resumable = estimates.done, True
                    yield Step("evaluating", self.done, self.images)
            summary = summarise(estimates.batches, self.samples)
            result: dict[str, object] = {**summary}
            if self.ais_steps:
                first, annealed = chosen[slice(0, ANNEALED)], list[dict[str, Tensor]]()
                with seeded(self.seed):
                    for batch in annealed_log_likelihoods(vae, data, first, steps=self.ais_steps):
                        annealed.append(batch)
                        yield Step("annealing", _images_in(annealed), len(first))
                result["annealed"] = compare(estimates.batches, annealed, self.ais_steps)
                simulated = list[dict[str, Tensor]]()
                with seeded(self.seed):
                    for batch in simulated_bounds(vae, data, first, steps=self.ais_steps):
                        simulated.append(batch)
                        yield Step("simulating", sum(len(batch["lower"]) for batch in simulated), len(first))
                if simulated:
                    result["simulated"] = summarise_bounds(simulated)
            if self.latents:
                with seeded(self.seed):
                    result["latents"] = report(vae, data)
            nats = -summary["log_likelihood"]
            result |= {**measured_on(self.run.trusted, data, vae, nats), "seed": self.seed}
            result["weights"] = estimates.weights
        estimates.finish()
        self.run.save_evaluation(result)
        estimates.remove()
        self.resumable = False
        self.result = cast(Evaluation, result)  # reading the file checks the type


def _images_in(batches: Iterable[dict[str, Tensor]]) -> int:
    return sum(len(batch["log_likelihood"]) for batch in batches)

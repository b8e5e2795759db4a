"""Save the estimates of an evaluation: of an unfinished one, which `--resume` continues, and of a complete one."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import torch
from safetensors.torch import save
from torch import Tensor

from pyrovae import __version__
from pyrovae.errors import InputError
from pyrovae.inference.randomness import random_state, set_random_state
from pyrovae.runs.digests import digests_of, expect_sound_archive
from pyrovae.runs.files import write_whole
from pyrovae.runs.reading import ESTIMATES, OF_EACH, WEIGHTS, read

NAME = "evaluation.pt"
KINDS = ("log_likelihood", "elbo", "effective_samples", "pareto_k")
SECONDS = 30  # between two writes of the file: a kill loses no more work than that


class Settings(TypedDict):
    """The settings that an evaluation must be resumed with."""

    samples: int
    images: int
    seed: int
    device: str


class Estimates:
    """Collects the `batches` that `log_likelihoods` yields, and saves them in `folder`.

    Saved estimates are resumed only with the same `settings`, weights and version of pyrovae.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings, self.batches = folder, settings, list[dict[str, Tensor]]()
        self.weights = digests_of(folder)[WEIGHTS]
        self._identity: dict[str, object] = {**settings, "weights": self.weights[:16], "version": __version__}
        self._random, self._written = random_state(), time.monotonic()

    @property
    def done(self) -> int:
        """The number of images evaluated so far."""
        return sum(len(batch["elbo"]) for batch in self.batches)

    def resume(self) -> None:
        """Load the saved estimates, and set the random state that followed them."""
        read(self.folder, NAME, self._load)

    def _load(self, path: Path) -> None:
        expect_sound_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, value in self._identity.items():
            if (saved := state["asked"][name]) != value:
                raise InputError(f"resume: expected {name} {saved}, with which {path} was begun, got {value}")
        batch: dict[str, Tensor] = {name: state["found"][name] for name in KINDS}
        done = len(batch["elbo"])
        if {values.shape for values in batch.values()} != {(done,)} or done > self.settings["images"]:
            raise ValueError(f"estimates of other than {self.settings['images']} images or fewer")
        set_random_state(state["random"])
        self.batches, self._random = [batch], state["random"]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Save all batches if an error or an interrupt ends the block."""
        try:
            yield
        except BaseException:
            if self.batches:
                self.write()
            raise

    def add(self, batch: dict[str, Tensor]) -> None:
        self.batches.append({name: values.cpu() for name, values in batch.items()})
        self._random = random_state()
        if time.monotonic() - self._written > SECONDS:
            self.write()

    def write(self) -> None:
        estimates = {name: torch.cat([batch[name] for batch in self.batches]) for name in self.batches[0]}
        content = io.BytesIO()
        torch.save({"asked": self._identity, "found": estimates, "random": self._random}, content)
        write_whole(self.folder / NAME, content.getvalue())
        self._written = time.monotonic()

    def finish(self) -> None:
        """Write estimates.safetensors, the estimates of each image as float32, once those of all images are there."""
        tensors = {name: torch.cat([batch[name] for batch in self.batches]).float() for name in OF_EACH}
        about = {"samples": self.settings["samples"], "seed": self.settings["seed"], "weights": self.weights}
        write_whole(self.folder / ESTIMATES, save(tensors, {"pyrovae": json.dumps(about)}))

    def remove(self) -> None:
        """Delete the file of the unfinished evaluation, once it is complete."""
        (self.folder / NAME).unlink(missing_ok=True)

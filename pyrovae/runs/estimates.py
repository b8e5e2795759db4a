"""The estimates of an evaluation, kept in its run folder while it is under way: ended, it goes on where it was."""

import hashlib
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyrovae import __version__
from pyrovae.errors import InputError
from pyrovae.inference.randomness import random_state, set_random_state
from pyrovae.runs.files import write_whole
from pyrovae.runs.schema import WEIGHTS, read

NAME = "evaluation.pt"
KINDS = ("log_likelihood", "elbo", "effective_samples", "pareto_k")
SECONDS = 30  # between two times that it is written: what a kill may cost


class Estimates:
    """What `log_likelihoods` found of the images so far: `batches`, of which `done` images.

    They belong to the weights of `folder` and to what was `asked`: others do not go on from them.
    """

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        self.folder, self.batches = folder, list[dict[str, Tensor]]()
        weights = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:16]
        self.asked = asked | {"weights": weights, "version": __version__}
        self._random, self._written = random_state(), time.monotonic()

    @property
    def done(self) -> int:
        return sum(len(batch["elbo"]) for batch in self.batches)

    def resume(self) -> None:
        """Go on from what the folder holds, and with the random numbers that come next there."""
        read(self.folder, NAME, self._take)

    def _take(self, path: Path) -> None:
        held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        for name, value in self.asked.items():
            if (begun := held["asked"][name]) != value:
                raise InputError(f"resume: expected {name} {begun}, with which {path} was begun, got {value}")
        found = {name: held["found"][name] for name in KINDS}
        done = len(found["elbo"])
        if {values.shape for values in found.values()} != {(done,)} or done > self.asked["images"]:
            raise ValueError(f"estimates of other than {self.asked['images']} images or fewer")
        set_random_state(held["random"])
        self.batches, self._random = [found], held["random"]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Inside, nothing that was added is lost, whatever ends this."""
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
        found = {name: torch.cat([batch[name] for batch in self.batches]) for name in self.batches[0]}
        held = io.BytesIO()
        torch.save({"asked": self.asked, "found": found, "random": self._random}, held)
        write_whole(self.folder / NAME, held.getvalue())
        self._written = time.monotonic()

    def remove(self) -> None:
        """The evaluation is whole."""
        (self.folder / NAME).unlink(missing_ok=True)

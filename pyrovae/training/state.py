"""The state of a training: what a checkpoint holds besides the weights and the optimizer."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pyrovae.inference.randomness import random_state, set_random_state

# In every checkpoint, between epochs too.
LASTING = ("epoch", "best_epoch", "best_loss", "changed", "compiled", "threads")


@dataclass
class TrainingState:
    """Counts epochs and steps, and keeps what else a resumed training needs to know."""

    epoch: int = 0  # the number of complete epochs
    best_epoch: int = 0  # its weights are kept: the last epoch, or the best one on the validation images
    best_loss: float = math.inf  # the weighted validation loss of the best epoch, in nats per image
    changed: list[dict[str, object]] = field(default_factory=list)  # settings changed by resumptions
    compiled: bool = False  # whether any step was compiled, in this process or an earlier one
    threads: list[int] = field(default_factory=list)  # the numbers of threads that steps ran on, likewise
    step: int = 0  # the number of steps taken in the epoch under way; 0 between epochs
    seconds: float = 0.0  # the time spent on the epoch under way
    random: dict[str, Any] = field(default_factory=dict)  # the state of all random numbers after the last step

    def end_epoch(self, validation_loss: float | None) -> None:
        """Count an epoch. It is the best one if its validation loss is the lowest so far, or if it has none."""
        self.epoch += 1
        if validation_loss is None:
            self.best_epoch = self.epoch
        elif validation_loss < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, validation_loss
        self.step, self.seconds = 0, 0.0

    def spend(self, seconds: float, threads: Iterable[int]) -> None:
        """Add the time of steps or scores to that of the epoch under way, and note what threads the steps ran on."""
        self.seconds += seconds
        self.threads = sorted({*self.threads, *threads})

    @contextmanager
    def continued_random_numbers(self) -> Iterator[None]:
        """Go on with the random numbers after the last step of the epoch under way, and remember where they end."""
        if self.step:
            set_random_state(self.random)
        try:
            yield
        finally:
            self.random = random_state()

    def progress(self) -> dict[str, object]:
        """Return the part of the state that every checkpoint holds."""
        return {name: getattr(self, name) for name in LASTING}

    def under_way(self) -> dict[str, object]:
        """Return the part of the state that only a checkpoint within an epoch holds."""
        return {"step": self.step, "seconds": self.seconds, "random": self.random}

    def load(self, progress: dict[str, Any], under_way: dict[str, Any]) -> None:
        """Set the state to what `progress` and `under_way` returned; entries that an older version left out stay."""
        vars(self).update({name: value for name, value in progress.items() if name in LASTING})
        self.threads = [int(count) for count in self.threads]
        if under_way:
            self.step, self.seconds, self.random = (under_way[name] for name in ("step", "seconds", "random"))

"""How far a training has come: what a checkpoint holds beside the weights and the optimizer."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pyrovae.inference.randomness import random_state, set_random_state

LASTING = ("epoch", "best_epoch", "best_loss", "changed", "compiled")  # saved between epochs, too


@dataclass
class TrainingState:
    """Counts epochs and steps, and remembers what a resumed training goes on from."""

    epoch: int = 0  # how many are complete
    best_epoch: int = 0  # whose weights are kept: the last one, or the best one on the validation images
    best_loss: float = math.inf  # of the validation images at the best epoch: the weighted loss, in nats per image
    changed: list[dict[str, object]] = field(default_factory=list)  # settings that a resumption changed
    compiled: bool = False  # whether any step was, in this process or in an earlier one
    step: int = 0  # how many are taken in the epoch under way; 0 between epochs
    seconds: float = 0.0  # spent on the epoch under way
    random: dict[str, Any] = field(default_factory=dict)  # the state of all random numbers after the last step

    def end_epoch(self, validation_loss: float | None) -> None:
        """Count an epoch. It is the best one if its validation loss is the lowest, or if it has none."""
        self.epoch += 1
        if validation_loss is None:
            self.best_epoch = self.epoch
        elif validation_loss < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, validation_loss
        self.step, self.seconds = 0, 0.0

    @contextmanager
    def continued_random_numbers(self) -> Iterator[None]:
        """Go on with the random numbers after the last step of the epoch under way, and remember where they end."""
        if self.step:
            set_random_state(self.random)
        try:
            yield
        finally:
            self.random = random_state()

    def progress(self) -> dict[str, Any]:
        """Return what is saved between epochs."""
        return {name: getattr(self, name) for name in LASTING}

    def under_way(self) -> dict[str, Any]:
        """Return what is saved within an epoch, besides."""
        return {"step": self.step, "seconds": self.seconds, "random": self.random}

    def load(self, progress: dict[str, Any], under_way: dict[str, Any]) -> None:
        """Go on from what `progress` and `under_way` returned; what an older checkpoint does not hold stays."""
        vars(self).update({name: value for name, value in progress.items() if name in LASTING})
        if under_way:
            self.step, self.seconds, self.random = (under_way[name] for name in ("step", "seconds", "random"))

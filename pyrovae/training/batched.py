"""Train several fits of one architecture as one batched program."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.errors import InputError, at_least
from pyrovae.inference import seeded
from pyrovae.inference.compiled import to_compile, why_not
from pyrovae.inference.threads import Threads, using
from pyrovae.inference.vmapped import capture_stacked, stack
from pyrovae.training.record import EpochScores, Record
from pyrovae.training.state import TrainingState
from pyrovae.training.step import TrainingStep

MAY_DIFFER = {"seed", "lr", "schedule", "beta", "warmup", "cycle"}


class Member(Protocol):
    """All that `fit_batched` uses of a fit."""

    config: Config
    state: TrainingState
    training_step: TrainingStep
    fault: FloatingPointError | None
    threads: Threads

    @property
    def epoch_seed(self) -> int: ...
    def begin_epoch(self, generator: torch.Generator) -> Sequence[Tensor]: ...  # the rows (n,) of each step
    def take_step(self, step: int, loss: Tensor, gradients: Sequence[Tensor], rows: Tensor, last: bool) -> None: ...
    def score_epoch(self) -> EpochScores: ...
    def end_epoch(self, scores: EpochScores) -> Record: ...
    def __iter__(self) -> Iterator[Record]: ...


def alike(config: Config) -> str:
    """Return the config without the settings in `MAY_DIFFER`, as text: fits can be batched if their texts are equal."""
    return Config(**config.model_dump(exclude=MAY_DIFFER)).to_toml()


def fit_batched(fits: Sequence[Member]) -> Iterator[list[Record | FloatingPointError]]:
    """Train `fits` at once; yields their records of each epoch, which are those of each fit alone but for rounding.

    The configs may differ in seed, learning rate and its schedule, KL weight and its warm-up; all fits must have
    completed the same number of epochs. Each keeps its own random numbers, optimizer and state, and can be saved
    between epochs. A fit whose loss is no longer finite has that error instead of a record, from then on. If the step
    cannot be batched, a warning says why, and each fit takes its own steps. Raises `InputError` for fits that are not
    alike.

    >>> configs = [Config(seed=seed, epochs=1, compile="no", device="cpu") for seed in (0, 1)]
    >>> data = load(configs[0])
    >>> for records in fit_batched([fit(build(config, data.shape), data, config) for config in configs]):
    ...     print([record["epoch"] for record in records])
    [1, 1]
    """
    _expect_alike(fits)
    batched = _Batched(fits)
    for _ in range(fits[0].state.epoch, fits[0].config.epochs):
        yield batched.run_epoch()


def _expect_alike(fits: Sequence[Member]) -> None:
    at_least(1, fits=len(fits))
    if len({id(fit.training_step.vae) for fit in fits}) < len(fits):
        raise InputError("batched: expected a model for each fit, got one model twice")
    if len({alike(fit.config) for fit in fits}) > 1 or len({fit.state.epoch for fit in fits}) > 1:
        raise InputError(f"batched: expected runs that differ in {', '.join(sorted(MAY_DIFFER))} alone, got others")
    if any(fit.state.step for fit in fits):
        raise InputError("batched: expected runs between two epochs, got one in the middle of an epoch")
    if fits[0].config.patience:
        raise InputError(f"batched: expected patience 0, as all runs end at once, got {fits[0].config.patience}")


class _Batched:
    """Stacks the tensors of all fits, so that each fit holds views of the stacks, and trains epoch after epoch."""

    def __init__(self, fits: Sequence[Member]) -> None:
        self.fits, self.threads = fits, fits[0].threads
        for fit in fits:
            fit.threads = self.threads  # one program, one choice
        own = [fit.training_step.own_tensors() for fit in fits]
        self.stacks = [(tensors[0], stack(tensors)) for tensors in zip(*own)]
        self.generators = [torch.Generator(own[0][0].device) for _ in fits]
        self.steps: dict[int, Callable[..., tuple[Tensor | None, ...]]] = {}  # batch size -> captured step
        self.can_be_batched = True

    def run_epoch(self) -> list[Record | FloatingPointError]:
        """Train all fits for an epoch; returns their records, or errors."""
        with using(self.fits[0].config.threads):
            return self._run_epoch()

    def _run_epoch(self) -> list[Record | FloatingPointError]:
        start = time.perf_counter()
        batches = self._batches() if self.can_be_batched else []
        for rows in {rows.shape: rows for rows in batches}.values():
            self.can_be_batched = self.can_be_batched and self._capture(rows, len(batches))
        if self.can_be_batched:
            for k, rows in enumerate(batches):
                with self.threads.measured():
                    self._take_step(k, rows, len(batches))
        seconds = (time.perf_counter() - start) / len(self.fits)
        return [self._record(fit, generator, seconds) for fit, generator in zip(self.fits, self.generators)]

    def _batches(self) -> Sequence[Tensor]:
        """Draw each fit's batches; returns the rows (fits, n) of each."""
        for fit, generator in zip(self.fits, self.generators):
            generator.manual_seed(fit.epoch_seed)
        own = [fit.begin_epoch(generator) for fit, generator in zip(self.fits, self.generators)]
        return [torch.stack(rows) for rows in zip(*own)]

    def _take_step(self, k: int, rows: Tensor, steps: int) -> None:
        """Take step k of an epoch of so many `steps`, counted from 0, on the rows (fits, n)."""
        for fit in self.fits:
            fit.training_step.follow_schedules(fit.state.epoch + k / steps)
        returned = self.steps[rows.shape[1]](rows)
        each = (len(self.fits) * [None] if tensor is None else tensor.unbind() for tensor in returned)
        for fit, own_rows, (loss, *gradients) in zip(self.fits, rows, zip(*each)):
            fit.take_step(k + 1, loss, gradients, own_rows, last=k + 1 == steps)

    def _capture(self, rows: Tensor, steps: int) -> bool:
        """Capture the step for batches of this size; returns False, and warns why, if that fails.

        `steps` is the number of steps in an epoch. All tensors and random numbers stay as they are.
        """
        if rows.shape[1] in self.steps:
            return True
        first, before = self.fits[0], [(stacked, stacked.clone()) for _, stacked in self.stacks]
        states = [generator.get_state() for generator in self.generators]
        # The last batch of an epoch, if it is smaller, is not worth compiling.
        full = first.config.batch_size + first.config.labelled_batch
        worth = first.config.epochs * steps * len(self.fits) if rows.shape[1] == full else 0
        compiled = to_compile(first.config.compile, worth)
        try:
            with first.training_step.to_capture(rows[0]) as gradients:
                self.steps[rows.shape[1]] = capture_stacked(
                    gradients, self.stacks, self.generators, rows, compiled=compiled
                )
            for fit in self.fits:
                fit.state.compiled |= compiled
        except Exception as error:  # a user's class may do anything, and so may vmap and the compiler
            warnings.warn(f"batched: each run takes its own steps: {why_not(error)}", stacklevel=2)
        finally:
            for stacked, values in before:
                stacked.copy_(values)
            for generator, state in zip(self.generators, states):
                generator.set_state(state)
        return rows.shape[1] in self.steps

    def _record(self, fit: Member, generator: torch.Generator, seconds: float) -> Record | FloatingPointError:
        """Return a fit's record of the epoch, or its error; if steps cannot be batched, it runs the epoch itself."""
        if fit.fault is None:
            try:
                return _end_epoch(fit, generator, seconds) if self.can_be_batched else next(iter(fit))
            except FloatingPointError as error:
                fit.fault = error
        return fit.fault


def _end_epoch(fit: Member, generator: torch.Generator, seconds: float) -> Record:
    """Score a fit with the random numbers that follow those of its steps, and return its record of the epoch."""
    start = time.perf_counter()
    with seeded(0):
        if generator.device.type == "cuda":
            torch.cuda.set_rng_state(generator.get_state(), generator.device)
        else:
            torch.set_rng_state(generator.get_state())
        scores = fit.score_epoch()
    fit.state.spend(seconds + time.perf_counter() - start, fit.threads.used)
    return fit.end_epoch(scores)

"""Several fits of one architecture, trained as one batched program."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.errors import InputError, at_least
from pyrovae.inference import seeded
from pyrovae.inference.compiled import to_compile, why_not
from pyrovae.inference.vmapped import capture_stacked, stack
from pyrovae.training.fit import Fit

MAY_DIFFER = {"seed", "lr", "schedule", "beta", "warmup", "cycle"}


def alike(config: Config) -> str:
    """The same text for all configs that can be trained together: those that differ in `MAY_DIFFER` alone."""
    return Config(**config.model_dump(exclude=MAY_DIFFER)).to_toml()


def fit_batched(fits: Sequence[Fit]) -> Iterator[list[dict[str, Any] | FloatingPointError]]:
    """Train `fits` at once: the records of each epoch, as those of each fit alone but for rounding.

    Their configs differ in seed, learning rate and its schedule, KL weight and its warm-up at most; all have as many
    epochs behind them. Each keeps its random numbers, its optimizer and its state, and can be saved between epochs. A
    fit whose loss is no longer finite has, from then on, that error for a record. Where a step cannot be batched, a
    warning says why, and each takes its own. Raises `InputError` for fits that are not alike.

    >>> configs = [Config(seed=seed, epochs=1, compile="no", device="cpu") for seed in (0, 1)]
    >>> data = load(configs[0])
    >>> for records in fit_batched([fit(build(config, data.shape), data, config) for config in configs]):
    ...     print([record["epoch"] for record in records])
    [1, 1]
    """
    at_least(1, fits=len(fits))
    first = fits[0]
    if len({id(fit.vae) for fit in fits}) < len(fits):
        raise InputError("batched: expected a model for each fit, got one model twice")
    if len({alike(fit.config) for fit in fits}) > 1 or len({fit.epoch for fit in fits}) > 1:
        raise InputError(f"batched: expected runs that differ in {', '.join(sorted(MAY_DIFFER))} alone, got others")
    if any(fit.step for fit in fits):
        raise InputError("batched: expected runs between two epochs, got one in the middle of an epoch")
    if first.config.patience:
        raise InputError(f"batched: expected patience 0, as all runs end at once, got {first.config.patience}")
    trained = _Stacked(fits)
    while not first.done:
        start = time.perf_counter()
        generators = trained.run_epoch()
        seconds, records = time.perf_counter() - start, []
        for fit, generator in zip(fits, generators):
            start = time.perf_counter()
            try:
                with seeded(0):
                    _set_state(generator)
                    scores = fit.scored(fit.train_scores())
            except FloatingPointError as error:
                scores, fit.fault = {}, error
            record = fit.end_epoch(scores, seconds / len(fits) + time.perf_counter() - start)
            records.append(fit.fault or record)
        yield records


class _Stacked:
    """What the fits hold, stacked: parameters, buffers, KL weights and sums are views of one tensor each."""

    def __init__(self, fits: Sequence[Fit]) -> None:
        self.fits = fits
        for fit in fits:
            if fit.kl_weight.weight is not None:  # a tensor, as a graph would keep a number
                fit.kl_weight.weight = torch.as_tensor(fit.kl_weight.weight, device=fit.device).clone()
        each = [_tensors(fit) for fit in fits]
        self.stacks = [(tensors[0], stack(tensors)) for tensors in zip(*each)]
        self.generators = [torch.Generator(fits[0].device) for _ in fits]
        self.steps: dict[int, Callable[..., Any]] = {}  # by the size of a batch
        self.stacked = True

    def run_epoch(self) -> list[torch.Generator]:
        """Train each fit for an epoch; the random numbers that it goes on with."""
        for fit, generator in zip(self.fits, self.generators):
            generator.manual_seed(fit.epoch_seed)
        batches = self._batches() if self.stacked else []
        for rows in {rows.shape: rows for rows in batches}.values():
            self.stacked = self.stacked and self._capture(rows)
        if self.stacked:
            self._train(batches)
        else:
            self._train_one_by_one()
        return self.generators

    def _batches(self) -> Sequence[Tensor]:
        """Rows (runs, n)."""
        n, device = len(self.fits[0].data.train), self.fits[0].device
        orders = [torch.randperm(n, generator=generator, device=device) for generator in self.generators]
        batches: Sequence[Tensor] = torch.stack(orders).split(self.fits[0].config.batch_size, dim=1)
        return batches

    def _train(self, batches: Sequence[Tensor]) -> None:
        for fit in self.fits:
            fit.begin_epoch()
        for k, rows in enumerate(batches):
            for fit in self.fits:
                fit.set_pace(k / len(batches))
            returned = self.steps[rows.shape[1]](rows)
            each = (len(self.fits) * [None] if tensor is None else tensor.unbind() for tensor in returned)
            for fit, own_rows, (loss, *gradients) in zip(self.fits, rows, zip(*each)):
                fit.svi.update(gradients, loss)
                if not fit.fault:
                    self._watch(fit, k + 1, loss, own_rows, last=k + 1 == len(batches))

    def _watch(self, fit: Fit, step: int, loss: Tensor, rows: Tensor, last: bool) -> None:
        try:
            fit.watch.see(fit.epoch + 1, step, loss, (rows,), last)
        except FloatingPointError as error:
            fit.fault = error

    def _train_one_by_one(self) -> None:
        for fit, generator in zip(self.fits, self.generators):
            with seeded(fit.epoch_seed):
                try:
                    fit.train_epoch()
                except FloatingPointError as error:
                    fit.fault = fit.fault or error
                generator.set_state(_state(fit.device))

    def _capture(self, rows: Tensor) -> bool:
        """Make the step for batches of this size; whether that can be done. It leaves all tensors as they were."""
        if rows.shape[1] in self.steps:
            return True
        first, held = self.fits[0], [(stacked, stacked.clone()) for _, stacked in self.stacks]
        states = [generator.get_state() for generator in self.generators]
        # Not worth compiling is the last batch of an epoch, if it is smaller.
        steps = first.steps * len(self.fits) if rows.shape[1] == first.config.batch_size else 0
        compiled = to_compile(first.config.compile, steps)
        first.vae.train()
        try:
            if not first.data.train.fits(first.device):
                raise ValueError("the images do not fit on the device")
            with seeded(first.config.seed):
                first.svi.evaluate_loss(rows[0])  # validated, as the graph cannot be
                self.steps[rows.shape[1]] = capture_stacked(
                    first.svi.gradients,
                    self.stacks,
                    self.generators,
                    rows,
                    compiled=compiled,
                )
            for fit in self.fits:
                fit.compiled = fit.compiled or compiled
        except Exception as error:  # a user's class may do anything, and so may vmap and the compiler
            warnings.warn(f"batched: each run takes its own steps: {why_not(error)}", stacklevel=2)
        finally:
            first.vae.eval()
            for stacked, values in held:
                stacked.copy_(values)
            for generator, state in zip(self.generators, states):
                generator.set_state(state)
        return rows.shape[1] in self.steps


def _tensors(fit: Fit) -> list[Tensor]:
    """What a step reads or changes, and each fit has its own of."""
    weight = fit.kl_weight.weight
    return [
        *fit.vae.parameters(),
        *fit.vae.buffers(),
        fit.total.sums,
        *([weight] if isinstance(weight, Tensor) else []),
    ]


def _state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_state(generator: torch.Generator) -> None:
    """Torch's own random numbers go on where these stand."""
    if generator.device.type == "cuda":
        torch.cuda.set_rng_state(generator.get_state(), generator.device)
    else:
        torch.set_rng_state(generator.get_state())

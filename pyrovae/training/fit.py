"""fit(): train a VAE on its data, as an iterator over epochs."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.display import number, table
from pyrovae.errors import InputError, reason
from pyrovae.evaluation.active_units import ActiveUnits
from pyrovae.evaluation.classes import agreement
from pyrovae.evaluation.elbo import elbo_scores
from pyrovae.inference import choose_device, seeded
from pyrovae.inference.compiled import to_compile
from pyrovae.inference.optimizer import adopt
from pyrovae.inference.processes import as_the_first
from pyrovae.inference.threads import Threads, using
from pyrovae.program import Program
from pyrovae.programs.memory import allocation_refused
from pyrovae.training.interrupts import held_back
from pyrovae.training.objective import expect_fitting
from pyrovae.training.record import EpochScores, Record
from pyrovae.training.state import TrainingState
from pyrovae.training.step import TrainingStep, training_mode
from pyrovae.training.watch import REMEDIES, Watch, all_finite, expect_finite


class Fit:
    """Trains `vae` on `data` by SVI; iterating over it trains epoch after epoch and yields the record of each.

    A record is {"epoch", "seconds", "train": {"loss", "reconstruction", "kl"}, "test": {same keys}}, in nats per image:
    `loss` is the negative ELBO with the KL at weight 1, `reconstruction` is −E log p(x|z, y), `kl` is E[log q(z|x, y) −
    log p(z|y)]; `objective` is the weighted loss, if that differs; `sites` has the KL of each latent, if there are
    several. If images are held out, "validation" has the same keys, and the best epoch is the one with their smallest
    weighted loss. "active_units" counts the dimensions of the test images' codes that `ActiveUnits` calls active, if
    the means of the codes are known in closed form; "accuracy" is that of `agreement` on the test images, if the
    program infers labels; "active_units_by_site" does so for each of several codes.

    Between epochs the VAE is in evaluation mode. The random numbers of an epoch follow from the seed and the number of
    the epoch; torch's own stay untouched. If `to_compile` is set, the next epoch begins by compiling the step; if that
    fails, a warning says why, and steps are taken uncompiled. A loss that is not finite moves no weight and raises
    FloatingPointError, which names the step and the sites (on CUDA some steps later); with on_nan = "skip" such batches
    are left out and counted as "skipped". Ctrl-C waits for the end of a step, so that `state_dict` is always whole.
    """

    def __init__(self, vae: Program, data: Data, config: Config) -> None:
        self.device = choose_device(config.device)
        expect_fitting(vae, data, config, self.device)
        self.vae, self.data, self.config = vae.to(self.device), data.to(self.device), config
        self.state = TrainingState()
        self.scores: EpochScores | None = None  # those of the last epoch that ended in this process
        self.fault: FloatingPointError | None = None  # kept, not raised, if other fits train beside this one
        self.training_step = TrainingStep(self.vae, self.data, config, self.device)
        self.svi, self.kl_weight = self.training_step.svi, self.training_step.kl_weight
        self.watch, self.threads = Watch(self.svi), Threads(self.device)
        self.to_compile = to_compile(config.compile, self.steps)

    # --- the loop ---

    def __iter__(self) -> Iterator[Record]:
        return (record for record in self.paused(math.inf) if record is not None)

    def paused(self, seconds: float) -> Iterator[Record | None]:
        """Yield the record of each epoch, and None whenever an epoch has run for so many seconds: time to save."""
        while not self.done:
            start, scores = time.perf_counter(), None
            try:
                with seeded(self.epoch_seed), using(self.config.threads), allocation_refused():
                    if self.train_epoch(until=start + seconds):
                        scores = self.score_epoch()
            finally:
                self.state.spend(time.perf_counter() - start, self.threads.used)
            yield None if scores is None else self.end_epoch(scores)

    def train_epoch(self, until: float) -> bool:
        """Take the remaining steps of an epoch, and stop after the first that ends later than `until`.

        `until` is a time of `perf_counter`. Returns whether all steps are taken. While some weights are not finite, it
        does not stop before the end of the epoch, as a checkpoint of them would be of no use.
        """
        batches = self.begin_epoch()
        with training_mode(self.vae):
            if self.to_compile:
                self.to_compile = False
                self.state.compiled |= self.training_step.compile(batches[0])
            with self.state.continued_random_numbers(), held_back() as interrupted:
                for step, arguments in enumerate(self.training_step.arguments(batches[self.step :]), self.step):
                    self.training_step.follow_schedules(self.epoch + step / len(batches))
                    with self.threads.measured():
                        loss = self.svi.step(*arguments)
                    self.state.step = step + 1
                    self.watch.see(self.epoch + 1, self.step, loss, arguments, last=self.step == len(batches))
                    if interrupted() or (time.perf_counter() > until and all_finite(self.svi.update.parameters)):
                        break
        if self.step < len(batches):
            return False
        as_the_first(self.vae.state_dict().values())  # batch statistics differ, as each process sees other rows
        return True

    def begin_epoch(self, generator: torch.Generator | None = None) -> Sequence[Tensor]:
        """Clear the sums of the last epoch, and draw the rows (n,) of the training images for each step of the next.

        All images are seen once, in a new order; `labelled_batch` of those with a known label are drawn for each step
        and added to it. Without a `generator`, torch's own random numbers are used.
        """
        if not self.step:  # the sums are kept if the epoch goes on from a checkpoint
            self.training_step.clear_sums()
            self.training_step.fit_codes(self.epoch)
        order = torch.randperm(len(self.data.train), generator=generator, device=self.device)
        batches: Sequence[Tensor] = order.split(self.config.batch_size)
        if not self.config.labelled_batch:
            return batches
        known = self.data.train.known().nonzero()[:, 0].to(self.device)
        size = (self.config.labelled_batch,)
        draws = [torch.randint(len(known), size, generator=generator, device=self.device) for _ in batches]
        return [torch.cat([rows, known[drawn]]) for rows, drawn in zip(batches, draws)]

    def score_epoch(self) -> EpochScores:
        """Score the validation and test images; returns their scores with those of the training steps."""
        train = self.training_step.scores()
        skipped = int(self.svi.update.skipped)
        if skipped >= self._steps_per_epoch:
            raise FloatingPointError(f"epoch {self.epoch + 1}: every one of its steps was skipped; {REMEDIES}")
        active, held_out = ActiveUnits(*self.training_step.vectors), self.data.validation
        with self.threads.chosen():
            validation = None if held_out is None else self.training_step.held_out(held_out)
            test = elbo_scores(self.vae, self.data, self.data.test, active)
        if validation is None:
            scores = EpochScores(train=train, test=test)
        else:
            scores = EpochScores(train=train, validation=validation, test=test)
        expect_finite(scores, self.epoch + 1)
        if self.config.on_nan == "skip":
            scores["skipped"] = skipped
        if (agrees := agreement(self.vae, self.data, self.data.test)) is not None:
            scores["accuracy"] = agrees["accuracy"]
        if active.active_units is not None:
            scores["active_units"] = active.active_units
        if len(by_site := active.by_site()) > 1:
            scores["active_units_by_site"] = by_site
        return scores

    def end_epoch(self, scores: EpochScores) -> Record:
        """Count the epoch as complete, and return its record."""
        seconds, held_out = round(self.state.seconds, 3), scores.get("validation")
        loss = None
        if held_out is not None:
            loss = held_out.get("objective", held_out["reconstruction"] + self.config.beta * held_out["kl"])
        self.state.end_epoch(loss)
        self.scores = scores
        return {"epoch": self.epoch, "seconds": seconds, **scores}

    def take_step(self, step: int, loss: Tensor, gradients: Sequence[Tensor | None], rows: Tensor, last: bool) -> None:
        """Update the weights by gradients that were computed elsewhere; if the loss is not finite, set `fault`."""
        self.svi.update(gradients, loss)
        if self.fault is None:
            try:
                self.watch.see(self.epoch + 1, step, loss, (rows,), last)
            except FloatingPointError as error:
                self.fault = error

    # --- its state ---

    @property
    def epoch(self) -> int:
        return self.state.epoch

    @property
    def best_epoch(self) -> int:
        return self.state.best_epoch

    @property
    def step(self) -> int:
        return self.state.step

    @property
    def compiled(self) -> bool:
        return self.state.compiled

    @property
    def changed(self) -> list[dict[str, object]]:
        return self.state.changed

    @property
    def steps(self) -> int:
        """The number of optimizer steps of all epochs."""
        return self.config.epochs * self._steps_per_epoch

    @property
    def _steps_per_epoch(self) -> int:
        return math.ceil(len(self.data.train) / self.config.batch_size)

    @property
    def epoch_seed(self) -> int:
        """The seed of the next epoch's random numbers: for the order of images, the steps and the scores."""
        return self.config.seed * 1_000_003 + self.epoch + 1

    @property
    def improved(self) -> bool:
        """Whether the last epoch is the best one, whose weights are to be kept; without validation images, always."""
        return self.best_epoch == self.epoch

    @property
    def done(self) -> bool:
        """Whether all epochs are complete, or `patience` epochs brought no improvement."""
        patience = self.config.patience
        return self.epoch >= self.config.epochs or bool(patience and self.epoch - self.best_epoch >= patience)

    def note(self, change: dict[str, object]) -> None:
        """Remember a change of settings, {"epoch": E, name: [old, new], ...}; the same change is kept once."""
        self.state.changed = [earlier for earlier in self.changed if earlier != change] + [change]

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed training needs, between two epochs or within one."""
        return {
            "model": self.vae.state_dict(),
            "optimizer": self.svi.optim.state_dict(),
            "progress": self.state.progress(),
            "under_way": self.state.under_way() | self.training_step.sums() if self.step else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned. Raises `InputError` for the state of another training."""
        try:
            self.vae.load_state_dict(state["model"])
            self.svi.optim.load_state_dict(state["optimizer"])
            adopt(self.svi.optim, keep_lr=self.config.schedule != "constant")
            under_way = state.get("under_way", {})
            self.state.load(state["progress"], under_way)
            if under_way:
                self.training_step.load_sums(under_way)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"checkpoint: expected the state of this run, got: {reason(error)}") from None

    # --- in a notebook ---

    def __repr__(self) -> str:
        return "Fit(" + ", ".join(f"{name} {value}" for name, value in self._shown().items()) + ")"

    def _repr_html_(self) -> str:
        return table("Fit: an iterator over epochs", self._shown())

    def _shown(self) -> dict[str, str]:
        rows = {"epoch": f"{self.epoch:,} of {self.config.epochs:,}", "device": str(self.device)}
        if self.scores:
            rows["test loss"] = f"{number(self.scores['test']['loss'])} nats per {self.data.noun}"
        return rows | ({"best epoch": f"{self.best_epoch:,}"} if self.data.validation is not None else {})


def fit(vae: Program, data: object, config: Config) -> Fit:
    """Fit `vae` to `data` by SVI: loop over the epochs of what this returns.

    Of anything but a `Data`, `Data.of` makes one, with the config's `pixels`, `validation`, `shape` and `background`;
    a fifth of the images is then held out to test on.

    >>> config = Config(epochs=2, device="cpu")
    >>> data = load(config)
    >>> vae = build(config, data.shape)
    >>> for epoch in fit(vae, data, config):
    ...     print(epoch["epoch"], round(epoch["test"]["loss"]))
    1 37
    2 31
    """
    if not isinstance(data, Data):
        settings = config.model_dump(include={"pixels", "validation", "shape", "background"})
        data = Data.of(data, **settings)
    return Fit(vae, data, config)

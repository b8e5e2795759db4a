"""fit(): an iterator over epochs."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.data.feed import Feed
from pyrovae.display import number, table
from pyrovae.errors import InputError, reason
from pyrovae.evaluation.active_units import ActiveUnits
from pyrovae.evaluation.elbo import Scores, Total, arguments, elbo_scores
from pyrovae.inference import SVI, choose_device, seeded
from pyrovae.inference.compiled import to_compile, why_not
from pyrovae.inference.objectives import KLWeight
from pyrovae.inference.optimizer import adam, adopt
from pyrovae.inference.processes import Share, as_the_first
from pyrovae.inference.randomness import random_state, set_random_state
from pyrovae.programs.memory import allocation_refused
from pyrovae.training.interrupts import held_back
from pyrovae.training.objective import expect_fitting, objective_of
from pyrovae.training.schedules import set_pace
from pyrovae.training.watch import REMEDIES, Watch, expect_finite, whole
from pyrovae.vae import VAE

LASTING = ("epoch", "best_epoch", "best_loss", "changed", "compiled")  # what a checkpoint holds between epochs


class Fit:
    """SVI of `vae` on `data`, an iterator over epochs: each yields its record.

    A record is {"epoch", "seconds", "train": {"loss", "reconstruction", "kl"}, "test": {same keys}}, in nats per image:
    `loss` is the negative ELBO with the KL at weight 1, `reconstruction` −E log p(x|z, y), `kl` E[log q(z|x, y) −
    log p(z|y)]; `objective` is the weighted loss, where that differs. Where images are held out, there is "validation"
    too, and the best epoch is the one of their smallest weighted loss. "active_units" counts the dimensions of the test
    images' codes that `ActiveUnits` calls active, where their means are known in closed form.

    Between epochs the VAE is in evaluation mode. The random numbers of an epoch follow from the seed and its number
    alone; torch's own stay untouched. `to_compile` says that the next epoch begins with compiling the step; where that
    fails, steps stay as they are, and a warning says why. A loss that is not finite moves no weight and raises
    FloatingPointError, which names the step and the sites (on CUDA some steps later); with on_nan = "skip" such batches
    are left out, and "skipped" counts them. Ctrl-C waits for the end of a step: `state_dict` is whole at any time.
    """

    def __init__(self, vae: VAE, data: Data, config: Config) -> None:
        self.device = choose_device(config.device)
        expect_fitting(vae, data, config, self.device)
        self.vae, self.data, self.config = vae.to(self.device), data.to(self.device), config
        self.epoch, self.best_epoch, self.best_loss = 0, 0, math.inf
        self.step, self.seconds = 0, 0.0  # of the epoch under way
        self.scores: dict[str, Any] = {}  # of the last one that ended here
        self._random: dict[str, Any] = {}
        self.fault: FloatingPointError | None = None
        self.changed: list[dict[str, Any]] = []  # settings, since the first epoch
        self.compiled = False  # whether steps were, in this process or one before
        beta = torch.tensor(config.beta, device=self.device) if config.warmup else config.beta  # a tensor may change
        self.kl_weight = KLWeight(beta if vae.has_kl else None)
        if initialise := getattr(vae.prior, "initialise", None):
            self._initialise_prior(initialise)
        skip = config.on_nan == "skip"
        self.total, self._share = Total(self.device, skip), Share(config.particles)
        self._feed = Feed(self.data, self.device)
        trainable = [parameter for parameter in vae.parameters() if parameter.requires_grad]
        self.svi = SVI(
            self._share.drawn(self.kl_weight(vae.model)),
            self._share.drawn(self.kl_weight(vae.guide)),
            adam(trainable, config.lr),
            objective_of(config, vae),
            prepare=self._prepare,
            record=self.total.add,
            precision=config.precision,
            grad_clip=config.grad_clip,
            skip=skip,
        )
        self.watch = Watch(self.svi)
        self.to_compile = to_compile(config.compile, self.steps)

    def __repr__(self) -> str:
        return "Fit(" + ", ".join(f"{name} {value}" for name, value in self._told().items()) + ")"

    def _repr_html_(self) -> str:
        return table("Fit: an iterator over epochs", self._told())

    def _told(self) -> dict[str, str]:
        told = {"epoch": f"{self.epoch:,} of {self.config.epochs:,}", "device": str(self.device)}
        if self.scores:
            told["test loss"] = f"{number(self.scores['test']['loss'])} nats per image"
        return told | ({"best epoch": f"{self.best_epoch:,}"} if self.data.validation is not None else {})

    @property
    def steps(self) -> int:
        """Optimizer steps of all epochs."""
        return self.config.epochs * math.ceil(len(self.data.train) / self.config.batch_size)

    @property
    def _objective_differs(self) -> bool:
        config = self.config
        return config.beta != 1 or config.warmup > 0 or config.free_bits > 0 or config.objective != "elbo"

    def _initialise_prior(self, initialise: Callable[..., None]) -> None:
        with seeded(self.config.seed):
            n, wanted = len(self.data.train), self.config.components
            rows = torch.randperm(n).repeat(math.ceil(wanted / n))[:wanted]  # none a second time before all are taken
            initialise(*arguments(self.vae, self.data.batch(self.data.train, rows.to(self.device))))

    @property
    def improved(self) -> bool:
        """Whether this epoch's weights are to be kept: always, or with validation if none before was better."""
        return self.best_epoch == self.epoch

    @property
    def done(self) -> bool:
        patience = self.config.patience
        return self.epoch >= self.config.epochs or bool(patience and self.epoch - self.best_epoch >= patience)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (record for record in self.paused(math.inf) if record is not None)

    def paused(self, seconds: float) -> Iterator[dict[str, Any] | None]:
        """The records of all epochs; and None whenever an epoch has taken so many seconds more: time to save."""
        while not self.done:
            start, scores = time.perf_counter(), None
            try:
                with seeded(self.epoch_seed), allocation_refused():
                    if self.train_epoch(start + seconds):
                        scores = self.scored(self.train_scores())
            finally:
                self.seconds += time.perf_counter() - start
            yield None if scores is None else self.end_epoch(scores, self.seconds)

    @property
    def epoch_seed(self) -> int:
        """What the random numbers of the next epoch follow from: of its order first, then of its steps and scores."""
        return self.config.seed * 1_000_003 + self.epoch + 1

    def scored(self, train: Scores) -> dict[str, Any]:
        """The scores of an epoch: those of its training steps, and of the images that are not trained on."""
        if self.fault:
            raise self.fault
        if self.svi.update.skipped >= self.steps / self.config.epochs:
            raise FloatingPointError(f"epoch {self.epoch + 1}: every one of its steps was skipped; {REMEDIES}")
        scores: dict[str, Any] = {"train": train}
        spread = ActiveUnits()
        if self.data.validation is not None:
            scores["validation"] = elbo_scores(self.vae, self.data, self.data.validation)
        scores["test"] = elbo_scores(self.vae, self.data, self.data.test, spread)
        expect_finite(scores, self.epoch + 1)
        skipped = {"skipped": int(self.svi.update.skipped)} if self.config.on_nan == "skip" else {}
        return scores | skipped | ({} if spread.active_units is None else {"active_units": spread.active_units})

    def end_epoch(self, scores: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Its record."""
        self.epoch += 1
        held_out = scores.get("validation")
        if held_out is None:
            self.best_epoch = self.epoch
        elif (loss := held_out["reconstruction"] + self.config.beta * held_out["kl"]) < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, loss
        self.step, self.seconds, self.scores = 0, 0.0, scores
        return {"epoch": self.epoch, "seconds": round(seconds, 3), **scores}

    def train_epoch(self, until: float = math.inf) -> bool:
        """Take the steps that are left of an epoch, or those up to a time of perf_counter; whether all are taken."""
        order = torch.randperm(len(self.data.train), device=self.device)
        batches = order.split(self.config.batch_size)
        self.vae.train()
        try:
            if self.to_compile:
                self._compile(*next(iter(self._feed(batches[:1]))))
            if self.step:
                set_random_state(self._random)
            else:
                self.begin_epoch()
            try:
                with held_back() as interrupted:
                    for step, fed in enumerate(self._feed(batches[self.step :]), self.step):
                        self.set_pace(step / len(batches))
                        loss = self.svi.step(*fed)
                        self.step = step + 1
                        self.watch.see(self.epoch + 1, self.step, loss, fed, last=self.step == len(batches))
                        if interrupted() or (time.perf_counter() > until and whole(self.svi.update.parameters)):
                            break
            finally:
                self._random = random_state()
        finally:
            self.vae.eval()
        if self.step < len(batches):
            return False
        as_the_first(self.vae.state_dict().values())  # its statistics of batches, as each saw others
        return True

    def begin_epoch(self) -> None:
        self.total.sums.zero_()
        self.svi.update.skipped.zero_()

    def train_scores(self) -> Scores:
        """What the steps of an epoch added up to."""
        return self.total.per_image(weighted=self._objective_differs)

    def _prepare(self, *fed: Tensor) -> tuple[Tensor, Tensor | None]:
        x, y = arguments(self.vae, self._feed.read(*fed), self._share)
        self.total.n = len(x)
        return x, y

    def _compile(self, *fed: Tensor) -> None:
        """Compile the step, if that can be done; weights, buffers and random numbers are afterwards as before."""
        self.to_compile = False
        held, sums = {name: tensor.clone() for name, tensor in self.vae.state_dict().items()}, self.total.sums.clone()
        try:
            with seeded(self.config.seed):
                self.svi.compile(*fed)
            self.compiled = True
        except Exception as error:  # a user's class may do anything, and so may the compiler
            warnings.warn(f"compile: steps are taken one operation at a time: {why_not(error)}", stacklevel=2)
        finally:
            self.vae.load_state_dict(held)
            self.total.sums.copy_(sums)

    def set_pace(self, part: float) -> None:
        """Set the KL weight and the learning rate, after this part of the epoch."""
        set_pace(self.config, self.epoch + part, self.kl_weight, self.svi.optim)

    def note(self, change: dict[str, Any]) -> None:
        """Remember, once, that settings changed."""
        self.changed = [known for known in self.changed if known != change] + [change]

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, in the middle of an epoch too."""
        under_way = {
            "step": self.step,
            "seconds": self.seconds,
            "random": self._random,
            "sums": self.total.sums,
            "skipped": self.svi.update.skipped,
        }
        return {
            "model": self.vae.state_dict(),
            "optimizer": self.svi.optim.state_dict(),
            "progress": {name: getattr(self, name) for name in LASTING},
            "under_way": under_way if self.step else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        try:
            self.vae.load_state_dict(state["model"])
            self.svi.optim.load_state_dict(state["optimizer"])
            adopt(self.svi.optim, keep_lr=self.config.schedule != "constant")
            vars(self).update(state["progress"])
            if under_way := state.get("under_way"):
                self.step, self.seconds, self._random = (under_way[name] for name in ("step", "seconds", "random"))
                self.total.sums.copy_(under_way["sums"])
                self.svi.update.skipped.copy_(under_way["skipped"])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"checkpoint: expected the state of this run, got: {reason(error)}") from None


def fit(vae: VAE, data: Data, config: Config) -> Fit:
    """Fit `vae` to `data` by SVI: loop over the epochs of what this returns.

    >>> config = Config(epochs=2, device="cpu")
    >>> data = load(config)
    >>> vae = build(config, data.shape)
    >>> for epoch in fit(vae, data, config):
    ...     print(epoch["epoch"], round(epoch["test"]["loss"]))
    1 37
    2 31
    """
    return Fit(vae, data, config)

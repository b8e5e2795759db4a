"""fit(): an iterator over epochs."""

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pyrovae.config import Config, InputError, reason
from pyrovae.data import Batch, Data
from pyrovae.inference import SVI, choose_device, seeded
from pyrovae.inference.compiled import why_not, worth_it
from pyrovae.inference.parallel import Share, as_the_first, size
from pyrovae.objectives import OBJECTIVES, KLWeight, TraceELBO
from pyrovae.registry import call, lookup
from pyrovae.scores import Total, arguments, evaluate
from pyrovae.spread import Spread
from pyrovae.stream import stream
from pyrovae.vae import VAE


class Fit:
    """SVI of `vae` on `data`, an iterator over epochs: each yields its record.

    A record is {"epoch", "seconds", "train": {"loss", "reconstruction", "kl"}, "test": {same keys}}, in nats per image:
    `loss` is the negative ELBO with the KL at weight 1, `reconstruction` −E log p(x|z, y), `kl` E[log q(z|x, y) −
    log p(z|y)]; `objective` is the weighted loss, where that differs. Where images are held out, there is "validation"
    too, and the best epoch is the one of their smallest weighted loss. "active_units" counts the dimensions of the test
    images' codes that `Spread` calls active, where their means are known in closed form.

    Between epochs the VAE is in evaluation mode. The random numbers of an epoch follow from the seed and its number
    alone, so that `state_dict` holds no random state and torch's own stays untouched. `to_compile` says that the next
    epoch begins with compiling the step; where that fails, steps stay as they are, and a warning says why. Raises
    FloatingPointError at the end of an epoch whose loss is not finite.
    """

    def __init__(self, vae: VAE, data: Data, config: Config) -> None:
        self.device = choose_device(config.device)
        if config.precision == "tf32" and self.device.type != "cuda":
            raise InputError(f"precision: expected fp32 or bf16 on {self.device.type}, got 'tf32'")
        self.vae, self.data, self.config = vae.to(self.device), data.to(self.device), config
        self.epoch, self.best_epoch, self.best_loss = 0, 0, math.inf
        for name, n in {"batch_size": self._smallest_batch, "dataset": len(data.test)}.items():
            if n < size():
                raise InputError(f"{name}: expected an image for each of {size()} processes in every batch, got {n}")
        beta = torch.tensor(config.beta, device=self.device) if config.warmup else config.beta  # a tensor may change
        self.kl_weight = KLWeight(beta if vae.has_kl else None)
        if hasattr(vae.prior, "initialise"):
            self._initialise_prior()
        self.total, self._share = Total(self.device), Share(config.particles)
        trainable = [parameter for parameter in vae.parameters() if parameter.requires_grad]
        self.svi = SVI(
            self._share.drawn(self.kl_weight(vae.model)),
            self._share.drawn(self.kl_weight(vae.guide)),
            self._adam(trainable),
            _objective(config, vae),
            prepare=lambda *fed: arguments(self.vae, self._read(*fed), self._share),
            record=self.total.add,
            precision=config.precision,
        )
        self.to_compile = to_compile(config, self.steps)

    def _adam(self, parameters: list[Tensor]) -> torch.optim.Adam:
        """On CUDA one that a CUDA graph can hold: it reads its learning rate where the graph does."""
        if self.device.type != "cuda":
            return torch.optim.Adam(parameters, lr=self.config.lr, fused=True)
        return torch.optim.Adam(
            parameters, lr=torch.tensor(self.config.lr, device=self.device), fused=True, capturable=True
        )

    @property
    def steps(self) -> int:
        """Optimizer steps of all epochs."""
        return self.config.epochs * math.ceil(len(self.data.train) / self.config.batch_size)

    @property
    def _smallest_batch(self) -> int:
        return len(self.data.train) % self.config.batch_size or self.config.batch_size

    @property
    def _objective_differs(self) -> bool:
        config = self.config
        return config.beta != 1 or config.warmup > 0 or config.free_bits > 0 or config.objective != "elbo"

    def _initialise_prior(self) -> None:
        with seeded(self.config.seed):
            n, wanted = len(self.data.train), self.config.components
            rows = torch.randperm(n).repeat(math.ceil(wanted / n))[:wanted]  # none a second time before all are taken
            self.vae.prior.initialise(*arguments(self.vae, self.data.batch(self.data.train, rows.to(self.device))))

    @property
    def improved(self) -> bool:
        """Whether this epoch's weights are to be kept: always, or with validation if none before was better."""
        return self.best_epoch == self.epoch

    @property
    def done(self) -> bool:
        patience = self.config.patience
        return self.epoch >= self.config.epochs or bool(patience and self.epoch - self.best_epoch >= patience)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while not self.done:
            start = time.perf_counter()
            with seeded(self.epoch_seed):
                scores = self.scored(self.train_epoch())
            yield self.end_epoch(scores, time.perf_counter() - start)

    @property
    def epoch_seed(self) -> int:
        """What the random numbers of the next epoch follow from: of its order first, then of its steps and scores."""
        return self.config.seed * 1_000_003 + self.epoch + 1

    def scored(self, train: dict[str, float]) -> dict[str, Any]:
        """The scores of an epoch: those of its training steps, and of the images that are not trained on."""
        scores, spread = {"train": train}, Spread()
        if self.data.validation is not None:
            scores["validation"] = evaluate(self.vae, self.data, self.data.validation)
        scores["test"] = evaluate(self.vae, self.data, self.data.test, spread)
        for name, part in scores.items():
            if not math.isfinite(part["loss"]):
                raise FloatingPointError(
                    f"epoch {self.epoch + 1}: expected a finite {name} loss, got {part['loss']};"
                    " a smaller --lr usually helps"
                )
        return scores | ({} if spread.active_units is None else {"active_units": spread.active_units})

    def end_epoch(self, scores: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Its record."""
        self.epoch += 1
        held_out = scores.get("validation")
        if held_out is None:
            self.best_epoch = self.epoch
        elif (loss := held_out["reconstruction"] + self.config.beta * held_out["kl"]) < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, loss
        return {"epoch": self.epoch, "seconds": round(seconds, 3), **scores}

    def train_epoch(self) -> dict[str, float]:
        """Take the steps of an epoch; their scores."""
        self.vae.train()
        try:
            order = torch.randperm(len(self.data.train), device=self.device)
            batches = order.split(self.config.batch_size)
            if self.to_compile:
                self._compile(*next(iter(self._fed(batches[:1]))))
            self.total.sums.zero_()
            for step, fed in enumerate(self._fed(batches)):
                self.set_pace(step / len(batches))
                self.svi.step(*fed)
        finally:
            self.vae.eval()
        as_the_first(self.vae.state_dict().values())  # its statistics of batches, as each saw others
        return self.train_scores()

    def train_scores(self) -> dict[str, float]:
        """What the steps of an epoch added up to."""
        return self.total.per_image(len(self.data.train), weighted=self._objective_differs)

    def _fed(self, batches: Sequence[Tensor]) -> Iterable[tuple[Tensor, ...]]:
        """What steps are called with: rows of images that lie on the device, or the images of these rows."""
        train = self.data.train
        return ((rows,) for rows in batches) if train.fits(self.device) else stream(train, batches, self.device)

    def _read(self, *fed: Tensor) -> Batch:
        train = self.data.train
        return self.data.batch(train, *fed) if train.fits(self.device) else self.data.read(*fed)

    def _compile(self, *fed: Tensor) -> None:
        """Compile the step, if that can be done; weights, buffers and random numbers are afterwards as before."""
        self.to_compile = False
        held = {name: tensor.clone() for name, tensor in self.vae.state_dict().items()}
        try:
            with seeded(self.config.seed):
                self.svi.compile(*fed)
        except Exception as error:  # a user's class may do anything, and so may the compiler
            warnings.warn(f"compile: steps are taken one operation at a time: {why_not(error)}", stacklevel=2)
        finally:
            self.vae.load_state_dict(held)

    def set_pace(self, part: float) -> None:
        """Set the KL weight and the learning rate, after this part of the epoch."""
        config, epochs = self.config, self.epoch + part
        if config.warmup and self.kl_weight.weight is not None:
            risen = epochs % config.cycle if config.cycle else epochs
            self.kl_weight.weight.fill_(config.beta * min(1.0, risen / config.warmup))
        if config.schedule == "cosine":
            lr = config.lr * 0.5 * (1 + math.cos(math.pi * epochs / config.epochs))
            for group in self.svi.optim.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(lr)
                else:
                    group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs."""
        return {
            "model": self.vae.state_dict(),
            "optimizer": self.svi.optim.state_dict(),
            "progress": {"epoch": self.epoch, "best_epoch": self.best_epoch, "best_loss": self.best_loss},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        try:
            self.vae.load_state_dict(state["model"])
            self.svi.optim.load_state_dict(state["optimizer"])
            for group in self.svi.optim.param_groups:  # which may come from another kind of device
                group |= {name: self.svi.optim.defaults[name] for name in ("lr", "capturable")}
            vars(self).update(state["progress"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"checkpoint: expected the state of this run, got: {reason(error)}") from None


def fit(vae: VAE, data: Data, config: Config) -> Fit:
    """Fit `vae` to `data` by SVI: loop over the epochs of what this returns.

    >>> for epoch in fit(vae, data, config):  # doctest: +SKIP
    ...     print(epoch["epoch"], epoch["test"]["loss"])
    """
    return Fit(vae, data, config)


def to_compile(config: Config, steps: int) -> bool:
    return config.compile == "yes" or (config.compile == "auto" and worth_it(steps))


def _objective(config: Config, vae: VAE) -> TraceELBO:
    estimator = lookup("objective", config.objective, OBJECTIVES)
    if getattr(estimator, "weighs_particles", False) and config.particles == 1:
        raise InputError(f"particles: objective {config.objective!r} expects 2 or more (1 is the elbo), got 1")
    if config.free_bits and not vae.has_kl:
        raise InputError(f"free_bits: expected 0, as posterior {config.posterior!r} has no KL, got {config.free_bits}")
    particles = {"num_particles": config.particles, "vectorize_particles": config.particles > 1}
    objective = call("objective", estimator, config.model_dump() | particles | {"max_plate_nesting": 1})
    if not hasattr(objective, "terms"):
        raise InputError(f"objective: expected an estimator with terms, as TraceELBO, got {config.objective!r}")
    return objective

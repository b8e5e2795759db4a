"""The training step: SVI on a batch of training images, with all the parts that it needs."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.data.feed import Feed
from pyrovae.data.images import Images
from pyrovae.evaluation.elbo import Scores, Total, arguments, elbo_scores, sites_of_images, total_of
from pyrovae.inference import SVI, seeded
from pyrovae.inference.compiled import why_not
from pyrovae.inference.effects import CountRows
from pyrovae.inference.objectives import KLWeight, TraceELBO
from pyrovae.inference.optimizer import adam
from pyrovae.inference.processes import Share
from pyrovae.inference.sites import vectors_of
from pyrovae.program import Program
from pyrovae.training.objective import objective_of
from pyrovae.training.schedules import set_kl_weight_and_lr

ELBOS = ("elbo", "analytic", "stl")  # the objectives whose expected loss is the ELBO
CODES, CODES_AT_ONCE = 20_000, 1000  # training images whose codes a program is shown


class TrainingStep:
    """Puts together what a step of `vae` on the training images needs, all of it on `device`.

    `svi` takes the step, `kl_weight` scales the KL term of its loss, `feed` supplies the images of a batch, and `total`
    adds up the scores of an epoch. Some parts are initialised with training images: that is done here.
    """

    def __init__(self, vae: Program, data: Data, config: Config, device: torch.device) -> None:
        self.vae, self.data, self.config = vae, data, config
        beta = torch.tensor(config.beta, device=device) if config.warmup else config.beta  # a warm-up changes a tensor
        self.kl_weight = KLWeight(beta if vae.has_kl else None)
        _initialise_parts(vae, data, config, device)
        skip = config.on_nan == "skip"
        self.feed = Feed(data, device)
        self._sites = sites = sites_of_images(vae, data, data.train)
        self.vectors = vectors_of(sites, vae.code, vae.filled)  # the continuous latents, whose active units are counted
        self.total = Total(device, sites, skip)
        self._share, self._counted = Share(config.particles), CountRows()
        model, guide = (self._share.drawn(self._counted(self.kl_weight(part))) for part in (vae.model, vae.guide))
        self.svi = SVI(
            model,
            guide,
            adam([parameter for parameter in vae.parameters() if parameter.requires_grad], config.lr),
            objective_of(config, vae, sites),
            prepare=self._model_arguments,
            record=self.total.add,
            precision=config.precision,
            grad_clip=config.grad_clip,
            skip=skip,
        )

    def arguments(self, batches: Sequence[Tensor]) -> Iterable[tuple[Tensor, ...]]:
        """Yield the arguments of `svi.step` for each batch of row numbers (n,)."""
        return self.feed(batches)

    def _model_arguments(self, *step_arguments: Tensor) -> tuple[Tensor, Tensor | None]:
        x, y = arguments(self.vae, self.feed.read(*step_arguments), self._share, training=True)
        self.total.n = len(x)
        if (
            added := self.config.labelled_batch
        ):  # they teach the classifier alone: else their ELBO would count too often
            rows = torch.arange(self._share.start, self._share.start + len(x), device=x.device)
            self._counted.rows = rows < self._share.whole - added
            self.total.n = min(len(x), max(0, self._share.whole - added - self._share.start))
        return x, y

    def follow_schedules(self, epochs: float) -> None:
        """Set what changes with the epochs to what it is after so many of them, 2.5 for instance."""
        set_kl_weight_and_lr(self.config, epochs, self.kl_weight, self.svi.optim)
        self.vae.anneal(epochs / self.config.epochs)

    def fit_codes(self, epochs: int) -> None:
        """Show codes of training images to a program that has a method `fit_codes`, when `pretraining` epochs are over.

        What follows depends on seed and weights alone: a training resumed here fits the same codes again.
        """
        if epochs != self.config.pretraining or not hasattr(self.vae, "fit_codes"):
            return
        with seeded(self.config.seed), torch.no_grad():
            rows = torch.randperm(len(self.data.train))[:CODES].to(self.total.sums.device)
            batches = (arguments(self.vae, self.data.batch(self.data.train, few)) for few in rows.split(CODES_AT_ONCE))
            self.vae.fit_codes(torch.cat([self.vae.code_distribution(*batch).sample() for batch in batches]))

    def compile(self, rows: Tensor) -> bool:
        """Compile the step for batches of as many images as `rows` names; if that fails, warn why and return False.

        Weights, buffers, sums and random numbers stay as they are.
        """
        (step_arguments,) = self.arguments([rows])
        weights = {name: tensor.clone() for name, tensor in self.vae.state_dict().items()}
        sums = self.total.sums.clone()
        try:
            with seeded(self.config.seed):
                self.svi.compile(*step_arguments)
        except Exception as error:  # a user's class may do anything, and so may the compiler
            warnings.warn(f"compile: steps are taken one operation at a time: {why_not(error)}", stacklevel=2)
            return False
        finally:
            self.vae.load_state_dict(weights)
            self.total.sums.copy_(sums)
        return True

    def clear_sums(self) -> None:
        """Set the sums to zero, at the start of an epoch."""
        for tensor in self.sums().values():
            tensor.zero_()

    def sums(self) -> dict[str, Tensor]:
        """Return the sums over an epoch's steps, named as in a checkpoint: of the scores, and of the skipped steps."""
        return {"sums": self.total.sums, "skipped": self.svi.update.skipped}

    def load_sums(self, saved: dict[str, Tensor]) -> None:
        """Set the sums to those that a checkpoint holds."""
        for name, tensor in self.sums().items():
            tensor.copy_(saved[name])

    def scores(self) -> Scores:
        """Return the mean scores over this epoch's steps; with `objective` if the weighted loss differs."""
        config = self.config
        weighted = config.beta != 1 or config.warmup > 0 or config.objective != "elbo"
        return self.total.per_image(weighted or self._is_more_than_terms())

    def _is_more_than_terms(self) -> bool:
        """Whether the loss is more than the sum of its terms, or than what a free nat of each makes of it."""
        return self.config.free_bits > 0 or (self.vae.supervised and self.config.classifier_weight > 0)

    def held_out(self, images: Images) -> Scores:
        """Score images that are held out; with `objective`, if that is more than an ELBO whose KL is weighted.

        It is the loss that is trained, at the full weight of the KL, in nats per image.
        """
        scores, config = elbo_scores(self.vae, self.data, images), self.config
        if config.objective not in ELBOS or self._is_more_than_terms():
            loss, sizes = cast(TraceELBO, self.svi.loss), (config.batch_size, config.particles)
            total = total_of(self.vae, self.data, images, self._sites, loss, config.beta, *sizes, training=True)
            scores["objective"] = total.per_image(weighted=True)["objective"]
        return scores

    # --- for several fits as one batched program ---

    def own_tensors(self) -> list[Tensor]:
        """Return the tensors that the step reads or changes and of which each fit has its own.

        A KL weight that is a number becomes a tensor: a captured graph would keep the first fit's number for all.
        """
        own = [*self.vae.parameters(), *self.vae.buffers(), self.total.sums]
        if self.kl_weight.weight is None:
            return own
        weight = torch.as_tensor(self.kl_weight.weight, device=self.total.sums.device).clone()
        self.kl_weight.weight = weight
        return [*own, weight]

    @contextmanager
    def to_capture(self, rows: Tensor) -> Iterator[Callable[..., tuple[Tensor | None, ...]]]:
        """Yield the function to capture as a graph: from `rows` (n,) to the loss and its gradients.

        Inside, the VAE is in training mode, and random numbers follow from the seed. The loss is computed once before,
        because Pyro cannot validate a graph. Raises ValueError if the images do not fit on the device.
        """
        if not self.feed.resident:
            raise ValueError("the images do not fit on the device, or are sparse rows")
        with training_mode(self.vae), seeded(self.config.seed):
            self.svi.evaluate_loss(rows)
            yield self.svi.gradients


@contextmanager
def training_mode(vae: Program) -> Iterator[None]:
    """Put `vae` into training mode inside, and into evaluation mode afterwards."""
    vae.train()
    try:
        yield
    finally:
        vae.eval()


def _initialise_parts(vae: Program, data: Data, config: Config, device: torch.device) -> None:
    """Give training images to each part that has a method `initialise`: its `examples`, or one for each component."""
    parts: list[Any] = [part for part in vae.modules() if hasattr(part, "initialise")]
    for part in parts:
        with seeded(config.seed):
            n, count = len(data.train), getattr(part, "examples", config.components)
            rows = torch.randperm(n).repeat(math.ceil(count / n))[:count]  # repeats none before all are used
            part.initialise(*arguments(vae, data.batch(data.train, rows.to(device))))

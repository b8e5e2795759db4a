"""The scores of images under a VAE: loss, reconstruction and KL."""

import math
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from pyrovae.data.data import Batch, Data, Images
from pyrovae.errors import at_least
from pyrovae.evaluation.active_units import ActiveUnits
from pyrovae.inference import SVI
from pyrovae.inference.objectives import KLWeight, TraceELBO
from pyrovae.inference.processes import Share, summed
from pyrovae.vae import VAE

EVALUATION_BATCH, MOST = 1000, 2**28  # images, and numbers that their decoder returns


class Scores(TypedDict):
    """Means over images, in nats per image: loss = reconstruction + kl; `objective` is the loss as it was weighted."""

    loss: float
    reconstruction: float
    kl: float
    objective: NotRequired[float]


def elbo_scores(vae: VAE, data: Data, images: Images, watch: ActiveUnits | None = None) -> Scores:
    """`loss`, `reconstruction` and `kl` over all `images`, in nats per image, with one code drawn for each.

    No gradient is taken and no weight, batch statistic or optimizer state moves. `watch` sees all codes' means.

    >>> config = Config(device="cpu")
    >>> data = load(config)
    >>> scores = elbo_scores(build(config, data.shape), data, data.test)
    >>> {name: round(score) for name, score in scores.items()}
    {'loss': 44, 'reconstruction': 44, 'kl': 0}
    """
    at_least(1, images=len(images))
    kl_weight = KLWeight(1.0 if vae.has_kl else None)
    elbo = TraceELBO(max_plate_nesting=1)
    guide = kl_weight(vae.guide) if watch is None else watch(kl_weight(vae.guide))
    share = Share()
    svi = SVI(share.drawn(kl_weight(vae.model)), share.drawn(guide), optim=None, loss=elbo, validate=False)
    total = Total(vae.device)
    training = vae.training
    vae.eval()
    try:
        for rows in _batches(len(images), math.prod(data.shape) * vae.likelihood.features):
            x, y = arguments(vae, data.batch(images, rows), share)
            total.n = len(x)
            loss = svi.evaluate_loss(x, y)
            total.add(loss, elbo.terms)
    finally:
        vae.train(training)
    if watch is not None:
        (watch.sums,) = summed(watch.sums)
    return total.per_image()


def _batches(n: int, each: int) -> list[slice]:
    """About as long as each other; `each` is what the decoder returns for an image."""
    count = math.ceil(n / max(1, min(EVALUATION_BATCH, MOST // each)))
    return [slice(n * k // count, n * (k + 1) // count) for k in range(count)]


def arguments(vae: VAE, batch: Batch, share: Share | None = None) -> tuple[Tensor, Tensor | None]:
    """What model and guide are called with: x and y, on the model's device; of all the batch, or of a share."""
    vae.expect_images(batch.x)
    x, y = batch.x.to(vae.device), vae.given(*batch)
    if share is None:
        return x, y
    rows = share.rows(len(x))
    return x[rows], None if y is None else y[rows]


class Total:
    """Sums over an epoch, kept on the device: reading one would make it wait.

    `n` is the number of images in the batch that is added next. With `skip` a batch that is not finite adds nothing.
    """

    def __init__(self, device: torch.device, skip: bool = False) -> None:
        self.sums = torch.zeros(4, dtype=torch.float64, device=device)
        self.n, self.skip = 0, skip

    def add(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        sums = torch.stack([terms["x"], terms["z"], loss, torch.full_like(loss, self.n)])
        self.sums += torch.where(sums.isfinite().all(), sums, 0.0) if self.skip else sums

    def per_image(self, weighted: bool = False) -> Scores:
        (sums,) = summed(self.sums)
        reconstruction, kl, objective = (sums[:3] / sums[3]).tolist()
        scores = Scores(loss=reconstruction + kl, reconstruction=reconstruction, kl=kl)
        if weighted:
            scores["objective"] = objective
        return scores

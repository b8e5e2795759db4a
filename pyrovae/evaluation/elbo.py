"""Score images under a VAE: loss, reconstruction and KL."""

import math
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from pyrovae.data.data import Batch, Data
from pyrovae.data.images import Images
from pyrovae.errors import InputError, at_least
from pyrovae.evaluation.active_units import ActiveUnits
from pyrovae.inference import SVI, seeded
from pyrovae.inference.arrays import BATCH
from pyrovae.inference.objectives import EnumeratedELBO, KLWeight, TraceELBO
from pyrovae.inference.processes import Share, summed
from pyrovae.inference.sites import Site
from pyrovae.inference.traces import total as sum_of
from pyrovae.parts.contexts import Columns
from pyrovae.program import Program

DECODER_OUTPUTS = 2**28  # numbers that the decoder returns at once, at most


class Scores(TypedDict):
    """Means over images, in nats per image: loss = reconstruction + kl; `objective` is the weighted loss.

    `loss` is the negative ELBO, `reconstruction` −E log p(x | z, y), and `kl` E[log q(z | x, y) − log p(z | y)]. If the
    program has several latents, `kl` is their sum, and `sites` has the term of each.
    """

    loss: float
    reconstruction: float
    kl: float
    sites: NotRequired[dict[str, float]]
    objective: NotRequired[float]


def elbo_scores(vae: Program, data: Data, images: object, watch: ActiveUnits | None = None) -> Scores:
    """Return the mean scores of `images`, in nats per image, with one code drawn for each image.

    Images in hand, such as an array, are read by `Data.images`. Weights, batch statistics and the optimizer stay as
    they are. `watch` is shown the means of all codes.

    >>> config = Config(device="cpu")
    >>> data = load(config)
    >>> scores = elbo_scores(build(config, data.shape), data, data.test)
    >>> {name: round(score) for name, score in scores.items()}
    {'loss': 44, 'reconstruction': 44, 'kl': 0}
    """
    images = data.images(images)
    at_least(1, images=len(images))
    sites = sites_of_images(vae, data, images)
    elbo = (EnumeratedELBO if any(site.summed for site in sites.values()) else TraceELBO)(max_plate_nesting=1)
    at_once = DECODER_OUTPUTS // (math.prod(data.shape) * vae.features)  # numbers that the decoder returns for an image
    total = total_of(vae, data, images, sites, elbo, 1.0, max(1, min(BATCH, at_once)), watch=watch)
    if watch is not None:
        watch.sum_over_processes()
    return total.per_image()


def total_of(
    vae: Program,
    data: Data,
    images: Images,
    sites: dict[str, Site],
    loss: TraceELBO,
    beta: float,
    batch_size: int,
    particles: int = 1,
    training: bool = False,
    watch: ActiveUnits | None = None,
) -> "Total":
    """Add up the scores of `images` by the estimator `loss`, with beta as the weight of the KL; no weight moves.

    Batches have about the same size, at most `batch_size`; `training` and `watch` are those of `arguments` and
    `elbo_scores`.
    """
    weight, share = KLWeight(beta if vae.has_kl else None), Share(particles)
    guide = weight(vae.guide) if watch is None else watch(weight(vae.guide))
    svi = SVI(share.drawn(weight(vae.model)), share.drawn(guide), optim=None, loss=loss, validate=False)
    total = Total(vae.device, sites)
    in_training, n = vae.training, len(images)
    vae.eval()
    try:
        count = math.ceil(n / batch_size)
        for rows in (slice(n * k // count, n * (k + 1) // count) for k in range(count)):
            x, y = arguments(vae, data.batch(images, rows), share, training)
            total.n = len(x)
            score = svi.evaluate_loss(x, y)
            total.add(score, loss.terms)
    finally:
        vae.train(in_training)
    return total


def sites_of_images(vae: Program, data: Data, images: Images) -> dict[str, Site]:
    """Return the sites of the program at the first of the images. Random numbers stay as they are.

    Raises `InputError` if guide and model do not fit each other.
    """
    expect_reads(vae, data, data.missing or images.missing > 0)
    with seeded(0):  # binary pixels are drawn, too
        return vae.sites(*arguments(vae, data.batch(images, slice(0, 1))))


def expect_reads(vae: Program, data: Data, missing: bool) -> None:
    """Raise `InputError` for other conditions than the program's, and for missing values that it cannot leave out."""
    names = [*vae.context.kinds] if isinstance(vae.context, Columns) else []
    if names != [*data.conditions]:
        wanted, got = (", ".join(each) or "none" for each in (names, data.conditions))
        raise InputError(f"data: expected the columns that the model is given as conditions, {wanted}, got {got}")
    if missing and not vae.missing:
        raise InputError(
            "missing: expected a program built for missing values, by build(config, data.shape, len(data.classes),"
            " missing=True), as some are missing in the data, got one that was not"
        )


def arguments(
    vae: Program, batch: Batch, share: Share | None = None, training: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Return the arguments x and y of model and guide for a batch, or for this process's share; on the VAE's device.

    In training y may also be labels that the program learns to infer.
    """
    vae.expect_images(batch.x)
    x, y = batch.x.to(vae.device), (vae.learned_from if training else vae.given)(*batch)
    if share is None:
        return x, y
    rows = share.rows(len(x))
    return x[rows], None if y is None else y[rows]


class Total:
    """Adds up the scores of batches on the device, because reading each would make a GPU wait.

    Set `n` to the number of images before a batch is added. With `skip`, a batch that is not finite adds nothing.
    """

    def __init__(self, device: torch.device, sites: dict[str, Site], skip: bool = False) -> None:
        self.seen = [name for name, site in sites.items() if site.observed]
        self.latents = [name for name, site in sites.items() if not site.observed]
        # of the terms of what is seen, together, and of each latent; of the objective; of the number of images
        self.sums = torch.zeros(len(self.latents) + 3, dtype=torch.float64, device=device)
        self.n, self.skip = 0, skip

    def add(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        """Add the loss of a batch, and its terms by site, as the estimator returns them."""
        by_site = [sum_of(terms[name] for name in self.seen), *(terms[name] for name in self.latents)]
        sums = torch.stack([*by_site, loss, torch.full_like(loss, self.n)])
        self.sums += torch.where(sums.isfinite().all(), sums, 0.0) if self.skip else sums

    def per_image(self, weighted: bool = False) -> Scores:
        """Return the means over all images of all processes; with `objective` if `weighted`."""
        (sums,) = summed(self.sums)
        reconstruction, *terms, objective = (sums[:-1] / sums[-1]).tolist()
        kl = sum(terms[1:], terms[0])
        scores = Scores(loss=reconstruction + kl, reconstruction=reconstruction, kl=kl)
        if len(terms) > 1:
            scores["sites"] = dict(zip(self.latents, terms))
        if weighted:
            scores["objective"] = objective
        return scores

"""What the codes of a set of images are like: how much each dimension says, and what can be read from them."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pyro
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Independent, TransformedDistribution

from pyrovae.data.data import Data, Images
from pyrovae.evaluation.active_units import ACTIVE
from pyrovae.evaluation.elbo import arguments
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.program import known_mean, mean_of
from pyrovae.vae import VAE

BATCH = 1000
PAIRS = 2_000_000  # of a code and an image, scored together
CODES = 100  # that stand for all with a flow, whose density at another image's code takes a pass for each dimension


def code_means(vae: VAE, data: Data, images: Images) -> Tensor:
    """The mean of q(z | x, y) for each image: (N, latent), on the CPU."""
    parts = (mean_of(q) for q, _ in _posteriors(vae, data, images))
    first = next(parts)
    means = torch.empty(len(images), first.shape[1], dtype=first.dtype)
    for into, part in zip(means.split(BATCH), chain([first], parts)):
        into.copy_(part)  # at once: small tensors kept between large ones would tear the memory to pieces
    return means


def kl_per_dimension(vae: VAE, data: Data, images: Images) -> Tensor | None:
    """KL of each dimension, (latent,), in nats and in the mean over images; None unless it is known in closed form."""
    total = torch.zeros(())
    for q, p in _posteriors(vae, data, images):
        if not (isinstance(q, Independent) and isinstance(p, Independent)):
            return None
        kl = known_kl(q.base_dist, p.base_dist)  # (n, latent)
        if kl is None:
            return None
        total = total + kl.sum(0).cpu()
    return total / len(images)


def report(vae: VAE, data: Data) -> dict[str, Any]:
    r"""How the test images' codes use the latent space, in nats.

    `active_units`: dimensions whose mean, if it is known in closed form, varies over the images by more than 0.01
    (Burda et al. 2016, arXiv:1509.00519). `kl_per_dimension`, if it is. The KL splits into `mutual_information`
    I(x; z) = E[log q(z | x) − log q(z)], at most log N for N images, and `marginal_kl` KL(q(z) ‖ p(z)), with
    q(z) = 1/N Σ q(z | x_n) (Hoffman & Johnson 2016, ELBO surgery); unconditional models have it, from a hundred codes
    if the posterior is a flow. `knn_accuracy` and `probe_accuracy`: how well five nearest neighbours, and logistic
    regression, tell the label from the code, learned on one random half of the test images and scored on the other.
    """
    means = code_means(vae, data, data.test)
    found: dict[str, Any] = {"images": len(means), "latent_dim": means.shape[1]}
    first, _ = next(_posteriors(vae, data, data.test[slice(0, 1)]))
    if len(means) > 1 and known_mean(first) is not None:  # that of draws varies by itself, and would count as active
        found["active_units"] = int((means.var(0) > ACTIVE).sum())
    if not vae.has_kl:
        return found | _readable(means, data)
    by_dimension = kl_per_dimension(vae, data, data.test)
    if by_dimension is not None:
        found["kl_per_dimension"] = by_dimension.tolist()
    if vae.context is None:
        found |= _surgery(vae, data)
    return found | _readable(means, data)


@torch.no_grad()
def _posteriors(vae: VAE, data: Data, images: Images) -> Iterator[tuple[TorchDistribution, TorchDistribution]]:
    """Batch after batch: q(z | x, y) and p(z | y)."""
    vae.eval()
    for rows in _slices(images):
        x, y = arguments(vae, data.batch(images, rows))
        yield vae.posterior(vae.encoder(x, y)), vae.prior(y)


@torch.no_grad()
def _surgery(vae: VAE, data: Data) -> dict[str, float]:
    with pyro.validation_enabled(False):  # far from its own image a flow's inverse may overflow
        features = torch.cat([vae.encoder(data.batch(data.test, rows).x.to(vae.device)) for rows in _slices(data.test)])
        q, p = vae.posterior(features), vae.prior()
        z, n = q.sample(), len(data.test)
        own = q.log_prob(z)
        bent = isinstance(q, TransformedDistribution)
        codes, width = (min(CODES, n), features.shape[1]) if bent else (n, 1)  # a flow reads the features of each pair
        parts = torch.arange(codes).split(max(1, PAIRS // n // width))
        marginal = torch.cat([_log_marginal(q, z, own, part) for part in parts])
        mutual = (own[:codes] - marginal).mean()
        return {
            "mutual_information": mutual.item(),
            "marginal_kl": ((own - p.log_prob(z)).mean() - mutual).item(),
        }


def _slices(images: Images) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]


def _log_marginal(q: TorchDistribution, z: Tensor, own: Tensor, part: Tensor) -> Tensor:
    """Log q(z) = log 1/N Σ q(z | x_n) for a part of the codes z, one of each image, by which their `own` is known."""
    pairs = z[part, None].expand(-1, len(z), -1)  # in full: a posterior's flow does not broadcast
    scores = q.log_prob(pairs)
    scores = scores.where(scores.isfinite(), -math.inf)
    scores[torch.arange(len(part)), part] = own[part]
    return torch.logsumexp(scores, 1) - math.log(len(z))


def _readable(means: Tensor, data: Data) -> dict[str, float]:
    """Accuracy of the label from the code."""
    if data.test.labels is None or len(data.classes) < 2:
        return {}
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    order, half = torch.randperm(len(means), generator=torch.Generator().manual_seed(0)), len(means) // 2
    codes, labels = means[order].numpy(), data.test.labels.cpu()[order].numpy()
    if len(set(labels[:half])) < 2:
        return {}
    learners = {
        "knn_accuracy": KNeighborsClassifier(min(5, half)),
        "probe_accuracy": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    return {
        name: float(learner.fit(codes[:half], labels[:half]).score(codes[half:], labels[half:]))
        for name, learner in learners.items()
    }

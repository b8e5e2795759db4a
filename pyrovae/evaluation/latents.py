"""Describe the codes of a set of images: how much each dimension says, and what can be predicted from them."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NotRequired, TypedDict

import pyro
import torch
from pyro.distributions import TorchDistribution
from pyro.distributions.torch_distribution import ExpandedDistribution
from torch import Tensor
from torch.distributions import Independent, Normal

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.evaluation.active_units import ACTIVE, ActiveUnits
from pyrovae.evaluation.classes import agreement
from pyrovae.evaluation.elbo import arguments, elbo_scores, sites_of_images
from pyrovae.evaluation.information import information
from pyrovae.inference import seeded
from pyrovae.inference.effects import known_mean, mean_of
from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.sites import Site, vectors_of
from pyrovae.inference.threads import Threads
from pyrovae.program import Program

BATCH = 1000  # images at once


def code_means(vae: Program, data: Data, images: Images) -> Tensor:
    """Return the mean of q(z | x, y) for each image: (N, latent), on the CPU."""
    parts = (mean_of(q) for q, _ in _posteriors(vae, data, images))
    first = next(parts)
    means = torch.empty(len(images), first.shape[1], dtype=first.dtype)
    for rows, part in zip(means.split(BATCH), chain([first], parts)):
        rows.copy_(part)  # at once, as small tensors that stay between large ones would fragment the memory
    return means


def kl_per_dimension(vae: Program, data: Data, images: Images) -> Tensor | None:
    """Return the KL of each dimension, averaged over images, in nats: (latent,); None if it has no closed form."""
    total = torch.zeros(())
    for q, p in _posteriors(vae, data, images):
        if not (isinstance(q, Independent) and isinstance(p, Independent)):
            return None
        kl = known_kl(q.base_dist, p.base_dist)  # (n, latent)
        if kl is None:
            return None
        total = total + kl.sum(0).cpu()
    return total / len(images)


def has_standard_prior(vae: Program, data: Data) -> bool:
    """Say whether the code of a test image is N(0, I) under the model, whatever the image."""
    if not vae.has_kl:
        return False
    _, p = next(_posteriors(vae, data, data.test[slice(0, 2)]))
    while isinstance(p, Independent | ExpandedDistribution):
        p = p.base_dist
    return isinstance(p, Normal) and bool((p.loc == 0).all() and (p.scale == 1).all())


class Layer(TypedDict):
    """How one of several codes is used. Its KL is the mean of log q − log p at one draw for each image, in nats."""

    latent_dim: int
    kl: float
    active_units: NotRequired[int]


class LatentReport(TypedDict):
    r"""How the codes of the test images use the latent space, as evaluation.json holds it; in nats.

    What a model does not have is left out: `active_units` if the means of its codes are not known in closed form,
    `kl_per_dimension` if the KL of each dimension is not, the bounds of both parts of the KL if it is conditional,
    accuracies if the images have no labels, and everything about the KL if it has none. A program without a code has
    its labels alone.
    """

    images: int
    latent_dim: NotRequired[int]
    active_units: NotRequired[int]  # dimensions whose mean has a variance above 0.01 over the images
    kl_per_dimension: NotRequired[list[float]]
    kl: NotRequired[float]  # the mean of log q − log p at one draw for each image; as `Information` has it
    mutual_information_lower: NotRequired[float]  # at most log N for N images
    mutual_information_upper: NotRequired[float]
    marginal_kl_lower: NotRequired[float]
    marginal_kl_upper: NotRequired[float]
    knn_accuracy: NotRequired[float]  # how often the label is predicted from the code by five nearest neighbours
    probe_accuracy: NotRequired[float]  # how often the label is predicted from the code by logistic regression
    layers: NotRequired[dict[str, Layer]]  # if there are several codes: each by its name
    accuracy: NotRequired[float]  # of the labels that the program infers, as `Agreement` has it; and the next two
    nmi: NotRequired[float]
    ari: NotRequired[float]


def report(vae: Program, data: Data) -> LatentReport:
    r"""Measure how the codes of the test images use the latent space.

    Mutual information and marginal KL add up to the mean KL; each has two bounds, which hold for the population that
    the test images come from: see `information`. They are left out where the guide draws other latents before the
    code, because q(z | x) is then not known. The accuracies are learned on one random half of the test images and
    scored on the other. Active units: Burda et al. (2016), arXiv:1509.00519.
    """
    sites = sites_of_images(vae, data, data.test)
    result: LatentReport = {"images": len(data.test)}
    if vae.code is not None:
        result |= _of_code(vae, data, sites[vae.code])
    if len(vectors := vectors_of(sites, vae.code, vae.filled)) > 1 and vae.has_kl:
        result["layers"] = _layers(vae, data, [sites[name] for name in vectors])
    if (agrees := agreement(vae, data, data.test)) is not None:
        result |= agrees  # type: ignore[typeddict-item]  # its keys are among these
    return result


def _of_code(vae: Program, data: Data, code: Site) -> LatentReport:
    means = code_means(vae, data, data.test)
    result: LatentReport = {"images": len(means), "latent_dim": means.shape[1]}
    first, _ = next(_posteriors(vae, data, data.test[slice(0, 1)]))
    if len(means) > 1 and known_mean(first) is not None:  # averages of draws vary by themselves, and would be active
        result["active_units"] = int((means.var(0) > ACTIVE).sum())
    if vae.has_kl:
        by_dimension = kl_per_dimension(vae, data, data.test)
        if by_dimension is not None:
            result["kl_per_dimension"] = by_dimension.tolist()
        if vae.context is None and not code.inferred_after:
            with pyro.validation_enabled(False):  # a flow's inverse may overflow at another image's code
                posteriors, priors = zip(*_posteriors(vae, data, data.test))
                result |= information(posteriors, priors, Threads(vae.device))  # type: ignore[typeddict-item]
    if (accuracies := _accuracies(means, data)) is not None:
        result["knn_accuracy"], result["probe_accuracy"] = accuracies
    return result


def _layers(vae: Program, data: Data, sites: Sequence[Site]) -> dict[str, Layer]:
    watch = ActiveUnits(*(site.name for site in sites))
    with seeded(0):
        kl = elbo_scores(vae, data, data.test, watch).get("sites", {})
    layers: dict[str, Layer] = {}
    for site in sites:
        layers[site.name] = {"latent_dim": site.event_shape[0], "kl": kl[site.name]}
        if site.name in (active := watch.by_site()):
            layers[site.name]["active_units"] = active[site.name]
    return layers


@torch.no_grad()
def _posteriors(vae: Program, data: Data, images: Images) -> Iterator[tuple[TorchDistribution, TorchDistribution]]:
    """Yield the distributions of the code, q(z | x, y) and p(z | y), for batch after batch."""
    vae.eval()
    threads = Threads(vae.device)
    for rows in _slices(images):
        batch = arguments(vae, data.batch(images, rows))
        with threads.measured():
            distributions = vae.code_distributions(*batch)
        yield distributions


def _slices(images: Images) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]


def _accuracies(means: Tensor, data: Data) -> tuple[float, float] | None:
    """Return how often nearest neighbours, and logistic regression, predict the label from the mean of the code.

    None if the images have no labels, or if those to learn from have only one.
    """
    if data.test.labels is None or len(data.classes) < 2:
        return None
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    means, known = means[data.test.known()], data.test.labels.cpu()[data.test.known()]
    order, half = torch.randperm(len(means), generator=torch.Generator().manual_seed(0)), len(means) // 2
    codes, labels = means[order].numpy(), known[order].numpy()
    if len(set(labels[:half])) < 2:
        return None
    neighbours = KNeighborsClassifier(min(5, half))
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    first, second = (
        float(learner.fit(codes[:half], labels[:half]).score(codes[half:], labels[half:]))
        for learner in (neighbours, probe)
    )
    return first, second

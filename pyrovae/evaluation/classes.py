"""How well a program infers the classes of images, or finds clusters that agree with them."""

from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.inference.arrays import BATCH
from pyrovae.program import Program


class Agreement(TypedDict):
    """How well the inferred labels agree with those of the images.

    Of a program that learns from labels, `accuracy` is the share of images whose class it infers. Of one that finds
    clusters, it is that share after each cluster is matched with one class, as is best for all images together (the
    Hungarian method); `nmi` is the normalised mutual information, and `ari` the adjusted Rand index.
    """

    accuracy: float
    nmi: NotRequired[float]
    ari: NotRequired[float]


def inferred_labels(vae: Program, data: Data, images: Images) -> Tensor:
    """Return the most likely class, or cluster, of each image: (N,), on the CPU."""
    return label_probabilities(vae, data, images).argmax(-1)


def label_probabilities(vae: Program, data: Data, images: Images) -> Tensor:
    """Return the probability of each class, or cluster, for each image: (N, classes), on the CPU."""
    vae.eval()
    batches = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
    return torch.cat([vae.classify(data.batch(images, rows).x).cpu() for rows in batches])


def agreement(vae: Program, data: Data, images: Images) -> Agreement | None:
    """Compare the inferred labels with those of the images.

    None if the program infers none, or if no image has a label.
    """
    known = images.known()
    if vae.label is None or images.labels is None or not known.any():
        return None
    all_inferred = inferred_labels(vae, data, images)
    inferred, labels = all_inferred[known], images.labels.cpu()[known]
    if vae.supervised:
        return {"accuracy": (inferred == labels).double().mean().item()}
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    a, b = labels.numpy(), inferred.numpy()
    matched = matching(counts(vae, data, images, all_inferred))
    return {
        "accuracy": (matched[inferred] == labels).double().mean().item(),
        "nmi": float(normalized_mutual_info_score(a, b)),
        "ari": float(adjusted_rand_score(a, b)),
    }


def counts(vae: Program, data: Data, images: Images, inferred: Tensor) -> Tensor:
    """Count the images of each inferred label and each class, (values, classes); those without a label do not count."""
    known, (values, classes) = images.known(), (vae.classes, len(data.classes))
    if images.labels is None:
        return torch.zeros(values, classes, dtype=torch.long)
    pairs = inferred[known] * classes + images.labels.cpu()[known]
    table: Tensor = torch.bincount(pairs, minlength=values * classes)
    return table.view(values, classes)


def matching(counts: Tensor) -> Tensor:
    """Return the class that each cluster is matched with, (clusters,); -1 if there are fewer classes than clusters."""
    from scipy.optimize import linear_sum_assignment

    clusters, classes = linear_sum_assignment(counts.numpy(), maximize=True)
    matched = torch.full((len(counts),), -1)
    matched[torch.from_numpy(clusters)] = torch.from_numpy(classes)
    return matched

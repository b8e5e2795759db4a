"""The figure of a program that finds clusters: what each of them looks like."""

import torch
from matplotlib.figure import Figure

from pyrovae.data.data import Data
from pyrovae.evaluation.classes import counts, label_probabilities, matching
from pyrovae.figures.names import labels
from pyrovae.figures.style import Unfit, image_figure, of_images, shown
from pyrovae.inference.effects import mean_of
from pyrovae.program import Program

MOST_ROWS, MEMBERS = 60, 10


@of_images
def clusters(vae: Program, data: Data) -> Figure:
    """Draw a row for each cluster: its mean, decoded, and the test images that are the most certain to be in it.

    A row is named by the share of the test images that are in the cluster and, if images have labels, by the class that
    it is matched with; rows are in the order of these classes.
    """
    if vae.label is None or vae.supervised or vae.code is None:
        raise Unfit("figure clusters: expected a program that finds clusters, got one without")
    probabilities = label_probabilities(vae, data, data.test)
    inferred, k = probabilities.argmax(-1), vae.classes
    table = counts(vae, data, data.test, inferred)
    matched = matching(table) if table.any() else torch.full((k,), -1)
    rows = matched.where(matched >= 0, len(data.classes)).argsort(stable=True)[:MOST_ROWS]
    means = vae.decode(mean_of(vae.code_prior(k, torch.eye(k, device=vae.device))), torch.arange(k))
    means = shown(data, means)
    images = torch.ones(len(rows), 1 + MEMBERS, *means.shape[1:])
    images[:, 0] = means[rows]
    for row, cluster in zip(images, rows.tolist()):
        members = (inferred == cluster).nonzero()[:, 0]
        surest = members[probabilities[members, cluster].argsort(descending=True, stable=True)][:MEMBERS]
        if len(surest):
            row[1 : 1 + len(surest)] = shown(data, data.batch(data.test, surest).x)
    names, shares = labels(data.classes), inferred.bincount(minlength=k) / len(inferred)
    heads = [
        f"{names[matched[cluster]] if matched[cluster] >= 0 else '–'}   {shares[cluster]:.1%}"
        for cluster in rows.tolist()
    ]
    left_out = f" (the first {len(rows)} of {k})" if len(rows) < k else ""
    title = f"One cluster per row{left_out}: its mean, and its most certain images"
    return image_figure(images.flatten(0, 1), 1 + MEMBERS, title, heads, ["mean"])

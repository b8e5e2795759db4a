"""The sentences of a report: captions of the figures, warnings, and the commands that repeat the runs."""

import shlex
from collections.abc import Iterator, Sequence

from pyrovae.display import number
from pyrovae.errors import InputError
from pyrovae.evaluation.importance import are_heavy, reliable_k
from pyrovae.figures.names import key
from pyrovae.pages.report.tables import one_line
from pyrovae.runs.run import Run
from pyrovae.runs.trust import to_repeat
from pyrovae.training.collapse import collapse

CAPTIONS = {  # in the order of the page, which draws the losses itself
    "reconstructions": (
        "Test images above, and below each the image decoded from the mean of its code. What differs is what the code "
        "does not hold."
    ),
    "samples": (
        "Codes drawn from the prior and decoded. Each image is the mean of p(x | z), not a draw from it. If they are "
        "much worse than the reconstructions, the codes of real images are not where the prior expects them."
    ),
    "conditions": (
        "What the condition changes. Of images each row shows one label and each column one code, which should keep "
        "its style for every label; of a table each row shows values of a given column, or a label, and "
        "the other columns given them, of the test set and of the model."
    ),
    "clusters": (
        "Each row is a cluster that was found without labels: the image decoded from its mean, and the test images "
        "that are the most certain to be in it, beside the class that it is matched with and its share of the images."
    ),
    "completions": (
        "The part of the image that the model sees, six completions drawn for it, and the whole image. If the part "
        "leaves the answer open, the completions should differ."
    ),
    "manifold": (
        "Images decoded from a grid of codes, from −3 to 3 along both dimensions. Neighbours should look alike."
    ),
    "latent": (
        "One dot for the code of each test image, coloured by its label. Where colours are separate, the label can be "
        "read from the code, even if the model was never given labels."
    ),
    "interpolations": (
        "Images decoded along straight lines between the codes of two test images, which are at the ends. Every step "
        "should look like an image of the training set."
    ),
    "traversals": (
        "The code of one image with one dimension changed at a time, those with the most KL first. If nothing changes "
        "along a row, the decoder ignores that dimension."
    ),
    "kl_per_dimension": (
        "The KL of the posterior from the prior in each dimension, averaged over the test images. A dimension near "
        "zero carries no information."
    ),
    "progress": "The same test images, reconstructed after more and more epochs.",
    "confusion": "What the test images of each label are taken for, in percent: a class, or a cluster.",
    "marginals": (
        "Each column of the table: the values of the test set, filled, and those of rows drawn from the model. They "
        "should have the same shape, tails included."
    ),
    "pairs": (
        "Columns against each other: below the diagonal the test set, above it rows drawn from the model. The clouds "
        "should mirror each other."
    ),
    "imputations": (
        "Missing values as the model imputes them, drawn from their distribution given what was seen. Where the draws "
        "differ, what was seen leaves the value open."
    ),
}
WITH_KEY = {"latent", "conditions", "clusters"}  # figures that name the classes
MOST_IN_KEY = 60  # classes: more are not named in figures
TITLES = {"latent": "Codes of the test images", "kl_per_dimension": "KL of each dimension"}  # else the figure's name


def warnings(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Return what a reader should be careful with, run by run; with several runs, each warning names its run."""
    prefixes = [f"{name}: " if len(runs) > 1 else "" for name in names]
    return [prefix + warning for prefix, run in zip(prefixes, runs) for warning in _warnings(run)]


def _warnings(run: Run) -> Iterator[str]:
    summary, records, evaluation = run.summary, run.metrics, run.evaluation
    if note := summary.get("note"):
        yield f"{note}."
    for record in records:
        if not _is_number(record.get("active_units", 0)):
            del record["active_units"]
    if warning := collapse(records, run.config):
        yield f"{warning}."
    changes = summary.get("changed")
    for change in changes if isinstance(changes, list) else []:
        yield f"Settings were changed when the training was resumed: {_change(change)}."
    skipped = [record["skipped"] for record in records if isinstance(record.get("skipped"), int)]
    if sum(skipped):
        yield f"{sum(skipped):,} batches whose loss was not finite were skipped."
    if evaluation is not None:
        samples, images = evaluation["samples"], evaluation["images"]
        if images < summary["images"]["test"]:
            yield (
                f"log p(x) was estimated for the first {images:,} of {summary['images']['test']:,} test images only."
            )
        yield from _unreliable_weights(evaluation.get("unreliable_share"), samples)
        yield from _annealed_difference(evaluation.get("annealed"))


def _is_number(value: object) -> bool:
    return number(value) != "–"


def _change(change: object) -> str:
    """Write the settings that a resumed training changed, as `lr 0.001 → 0.01`."""
    if not isinstance(change, dict):
        return str(change)
    return ", ".join(
        f"{name} {value[0]} → {value[1]}" if isinstance(value, list) and len(value) == 2 else f"{name} {value}"
        for name, value in change.items()
    )


def _unreliable_weights(share: object, samples: int) -> Iterator[str]:
    """Warn if the importance weights of more than 10% of the images have too heavy a tail, or if that is unknown."""
    if share is None:
        yield ("log p(x) was estimated with too few samples to tell whether it can be trusted; that takes 46 or more.")
    elif isinstance(share, int | float) and _is_number(share) and are_heavy(share):
        yield (
            f"For {share:.0%} of the images the importance weights have too heavy a tail (k̂ above"
            f" {reliable_k(samples):.2f}), so the true log p(x) is probably higher than this estimate. More samples or"
            " a better posterior come closer to it; pyrovae evaluate --ais checks it."
        )


def _annealed_difference(annealed: object) -> Iterator[str]:
    """Warn if importance sampling and annealed importance sampling disagree: both are lower bounds."""
    if not isinstance(annealed, dict):
        return
    difference, error = annealed.get("difference"), annealed.get("standard_error")
    if not (isinstance(difference, int | float) and isinstance(error, int | float)):
        return
    if _is_number(difference) and _is_number(error) and abs(difference) > max(2 * error, 0.1):
        lower = "importance-sampled" if difference > 0 else "annealed"
        yield (
            f"On the images of both estimates of log p(x), the {lower} one is {number(abs(difference))} nats below the"
            " other: it is too low."
        )


def key_of(run: Run) -> str:
    """Write the names of classes that figures show by their numbers, as `#0 = 猫, #1 = 犬`; "" if there are none."""
    try:
        numbers = key(run.classes[:MOST_IN_KEY])
    except InputError:  # the file of the weights, which has the names, is damaged or missing: a page needs no weights
        return ""
    return ", ".join(f"{number} = {one_line(name)}" for number, name in numbers.items())


def commands(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Return the commands that repeat the runs, to be run in the folder above theirs."""
    return [command for run, name in zip(runs, names) for command in _commands(run, name)]


def _commands(run: Run, name: str) -> Iterator[str]:
    own = [word for key, value in to_repeat(run.config).items() for word in (f"--{key.replace('_', '-')}", value)]
    yield shlex.join(["pyrovae", "train", "--config", f"{name}/config.toml", *own])
    if (evaluation := run.evaluation) is None:
        return
    samples, count, seed = str(evaluation["samples"]), evaluation["images"], evaluation.get("seed")
    images = ["--images", str(count)] if count < run.summary["images"]["test"] else []
    seeds = ["--seed", str(seed)] if isinstance(seed, int) and seed else []
    annealed: object = evaluation.get("annealed")
    steps = annealed.get("steps") if isinstance(annealed, dict) else None
    ais = ["--ais", "--ais-steps", str(steps)] if isinstance(steps, int) else []
    yield shlex.join(["pyrovae", "evaluate", name, "--samples", samples, *images, *seeds, *ais, *own])

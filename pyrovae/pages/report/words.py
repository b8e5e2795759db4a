"""What a report says in words: how to read a figure, what to be careful with, how to make it again."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyrovae.display import number
from pyrovae.evaluation.importance import reliable_k
from pyrovae.runs.run import Run
from pyrovae.runs.trust import to_repeat
from pyrovae.training.collapse import collapse

CAPTIONS = {
    "reconstructions": (
        "Test images above, and below each what the mean of its code decodes to. What is lost here is what the "
        "code does not hold."
    ),
    "samples": (
        "Codes drawn from the prior and decoded; the mean of p(x | z) is shown, not a draw from it. Where these "
        "are much worse than the reconstructions, the codes of images do not lie where the prior puts them."
    ),
    "conditions": "One label in each row, one code in each column, which should keep its style whatever the label.",
    "completions": (
        "What the model sees, six completions drawn for it, and the truth. Where the seen part leaves the answer "
        "open, the completions should differ."
    ),
    "manifold": "What a grid of codes decodes to, from −3 to 3 along both dimensions: neighbours should look alike.",
    "latent": (
        "A dot for the code of each test image. Colours that lie apart can be told from the code, though a model "
        "that is not given labels never saw one."
    ),
    "interpolations": (
        "Straight lines between the codes of two test images, which stand at the ends. Every step should be an "
        "image of the kind that is trained on."
    ),
    "traversals": (
        "The code of one image with one dimension moved at a time, those with the most KL first. A row in which "
        "nothing changes is a dimension that the decoder ignores."
    ),
    "kl_per_dimension": (
        "How far each dimension's posterior is from the prior, in the mean over the test images. Dimensions near "
        "zero carry no information."
    ),
    "progress": "The same test images, reconstructed after more and more epochs.",
}  # in the order of the page; the losses have curves of their own there


def warnings(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """What to be careful with, run by run."""
    several = len(runs) > 1
    return [(f"{name}: " if several else "") + line for name, run in zip(names, runs) for line in _warnings(run)]


def _warnings(run: Run) -> Iterator[str]:
    summary, records, found = run.summary, run.metrics, run.evaluation
    if note := summary.get("note"):
        yield f"{note}."
    if told := collapse([_sound(record) for record in records], run.config):
        yield f"{told}."
    for change in summary.get("changed", []) if isinstance(summary.get("changed"), list) else []:
        yield f"Settings were changed on the way: {_changed(change)}."
    skipped = [record["skipped"] for record in records if isinstance(record.get("skipped"), int)]
    if sum(skipped):
        yield f"{sum(skipped):,} batches whose loss was not finite were skipped."
    if found is not None:
        yield from _of_the_estimate(found, summary["images"]["test"])


def _sound(record: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is no number of active units, as a file may hold anything."""
    return {name: value for name, value in record.items() if name != "active_units" or number(value) != "–"}


def _changed(change: Any) -> str:
    if not isinstance(change, dict):
        return str(change)
    return ", ".join(
        f"{name} {value[0]} → {value[1]}" if isinstance(value, list) and len(value) == 2 else f"{name} {value}"
        for name, value in change.items()
    )


def _of_the_estimate(found: Mapping[str, Any], images: int) -> Iterator[str]:
    if found["images"] < images:
        yield f"log p(x) is that of the first {found['images']:,} of {images:,} test images."
    share, limit = found.get("unreliable_share"), f"{reliable_k(found['samples']):.2f}"
    if share is None:
        yield "log p(x) rests on too few samples to tell whether it can be trusted: 46 or more would tell."
    elif number(share) != "–" and share > 0.1:
        yield (
            f"For {share:.0%} of the images the importance weights have too heavy a tail (k̂ above {limit}): log p(x)"
            " is then likely higher than told here. More samples or a better posterior come closer to it, and"
            " pyrovae evaluate --ais checks it."
        )
    annealed = found.get("annealed")
    if not isinstance(annealed, dict):
        return
    difference, error = (annealed.get(name) for name in ("difference", "standard_error"))
    if difference is None or error is None or "–" in (number(difference), number(error)):
        return
    if abs(difference) > max(2 * error, 0.1):  # both are lower bounds
        one = "importance-sampled" if difference > 0 else "annealed"
        yield f"On the images of both the {one} number is {number(abs(difference))} below the other: too low."


def commands(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """What makes the runs again, from the folder that theirs lie in."""
    return [line for run, name in zip(runs, names) for line in _commands(run, name)]


def _commands(run: Run, name: str) -> Iterator[str]:
    own = [part for key, value in to_repeat(run.config).items() for part in (f"--{key.replace('_', '-')}", value)]
    yield shlex.join(["pyrovae", "train", "--config", f"{name}/config.toml", *own])
    if (found := run.evaluation) is None:
        return
    part = ["--images", str(found["images"])] if found["images"] < run.summary["images"]["test"] else []
    seed = ["--seed", str(found["seed"])] if isinstance(found.get("seed"), int) and found["seed"] else []
    annealed = found.get("annealed")
    steps = annealed.get("steps") if isinstance(annealed, dict) else None
    ais = ["--ais", "--ais-steps", str(steps)] if isinstance(steps, int) else []
    yield shlex.join(["pyrovae", "evaluate", name, "--samples", str(found["samples"]), *part, *seed, *ais, *own])

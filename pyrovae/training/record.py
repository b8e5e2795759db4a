"""The record of an epoch: a line of metrics.jsonl."""

from collections.abc import Iterator
from typing import NotRequired, TypedDict

from pyrovae.evaluation.elbo import Scores


class EpochScores(TypedDict):
    """The scores of an epoch, in nats per image."""

    train: Scores
    validation: NotRequired[Scores]
    test: Scores
    skipped: NotRequired[int]  # steps left out because their loss was not finite
    accuracy: NotRequired[float]  # of the labels that the program infers for the test images, a share
    active_units: NotRequired[int]
    active_units_by_site: NotRequired[dict[str, int]]  # if there are several codes


class Record(EpochScores):
    """The scores of an epoch with its number, counted from 1, and the seconds that it took."""

    epoch: int
    seconds: float


def losses_of(scores: EpochScores) -> Iterator[tuple[str, Scores]]:
    """Yield the scores of each set of images by its name."""
    yield "train", scores["train"]
    if "validation" in scores:
        yield "validation", scores["validation"]
    yield "test", scores["test"]

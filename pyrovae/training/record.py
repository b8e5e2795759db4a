"""What is known of an epoch: a line of metrics.jsonl."""

from typing import NotRequired, TypedDict

from pyrovae.evaluation.elbo import Scores


class EpochScores(TypedDict):
    """The scores of one epoch, in nats per image."""

    train: Scores
    validation: NotRequired[Scores]
    test: Scores
    skipped: NotRequired[int]  # steps that were left out, as their loss was not finite
    active_units: NotRequired[int]


class Record(EpochScores):
    """The scores of an epoch, its number from 1 on, and how long it took."""

    epoch: int
    seconds: float

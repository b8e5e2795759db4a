"""A warning when the posterior says nothing any more."""

from collections.abc import Sequence
from typing import Any

from pyrovae.config.settings import Config

NO_KL = 0.1  # nats, of all dimensions together
REMEDIES = "--warmup, --free-bits, --beta below 1, or a smaller --scale if the likelihood has one"


def collapse(records: Sequence[dict[str, Any]], config: Config) -> str | None:
    """A warning that names the remedies, if the last of these epochs shows a posterior that says nothing any more.

    That is a KL of less than 0.1 nats or no active unit; or less than half of both that there were before. Dimensions
    that are given up while the KL stays are none: a code may need no more. Nor is the first half of the training, in
    which many a code is not found yet, nor the warm-up, once or in cycles.
    """
    records = [record for record in records if _at_full_weight(record["epoch"], config)]
    if not records or config.posterior == "delta" or records[-1]["epoch"] <= config.epochs / 2:
        return None
    last = records[-1]
    kl, active = last["test"]["kl"], last.get("active_units")
    most_kl = max(record["test"]["kl"] for record in records)
    most_active = max(record.get("active_units", 0) for record in records)
    if kl >= NO_KL and active != 0 and (active is None or active >= most_active / 2 or kl >= most_kl / 2):
        return None
    units = "" if active is None else f"{active} of {config.latent_dim} latent dimensions are active, "
    return f"epoch {last['epoch']}: the posterior collapses: {units}KL {kl:.2f} nats; what may help: {REMEDIES}"


def _at_full_weight(epoch: int, config: Config) -> bool:
    """Whether the KL had its whole weight, at least at the end of that epoch's cycle."""
    start = (epoch - 1) % config.cycle if config.cycle else epoch - 1
    return start >= (min(config.warmup, config.cycle - 1) if config.cycle else config.warmup)

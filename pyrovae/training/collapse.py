"""Warn when the posterior collapses onto the prior, so that the codes say nothing about the images."""

from collections.abc import Sequence

from pyrovae.config.settings import Config
from pyrovae.training.record import Record

NO_KL = 0.1  # nats, of all dimensions together
REMEDIES = "--warmup, --free-bits, --beta below 1, or a smaller --scale if the likelihood has one"


def collapse(records: Sequence[Record], config: Config) -> str | None:
    """Return a warning that names the remedies if the last of these epochs shows a collapsed posterior, else None.

    A posterior has collapsed if its KL is below 0.1 nats, if no unit is active, or if both the KL and the active units
    fell below half of their highest values. Fewer active units at the same KL are no collapse: the code may need no
    more of them. Epochs of a warm-up do not count, and there is no warning in the first half of the training, in which
    many models have not found a use for their codes yet.
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
    units = "" if active is None else f"{active} of {config.code_dim} latent dimensions are active, "
    return f"epoch {last['epoch']}: the posterior collapses: {units}KL {kl:.2f} nats; what may help: {REMEDIES}"


def _at_full_weight(epoch: int, config: Config) -> bool:
    """Say whether this epoch comes after the warm-up, or is the last one of a cycle that is all warm-up."""
    before = (epoch - 1) % config.cycle if config.cycle else epoch - 1  # epochs, in this cycle
    return before >= (min(config.warmup, config.cycle - 1) if config.cycle else config.warmup)

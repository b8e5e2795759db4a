"""How many dimensions of the code are in use, and whether that tells of a posterior collapse."""

from collections.abc import Sequence
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.vae import known_mean

ACTIVE = 0.01  # variance of a dimension's mean over the images, above which it is active; Burda et al. (2016)
NO_KL = 0.1  # nats, of all dimensions together
REMEDIES = "--warmup, --free-bits, --beta below 1, or a smaller --scale if the likelihood has one"


class Spread(Messenger):
    """An effect: sees the codes that a guide draws, and keeps how far their means spread over the images.

    `active_units` is the number of dimensions whose mean varies by more than 0.01, or None where means are not known in
    closed form: those of draws vary by themselves. Burda et al. (2016), arXiv:1509.00519.
    """

    def __init__(self, site: str = "z") -> None:
        super().__init__()
        self.site = site
        self.sums: Tensor | None = None  # of 1, mean and mean² for each dimension

    def _pyro_post_sample(self, msg: Any) -> None:
        mean = known_mean(msg["fn"]) if msg["name"] == self.site else None
        if mean is None:
            return
        mean = mean.detach().double()
        sums = torch.stack([torch.ones_like(mean), mean, mean.square()]).sum(1)
        self.sums = sums if self.sums is None else self.sums + sums

    @property
    def active_units(self) -> int | None:
        if self.sums is None:
            return None
        n, first, second = self.sums
        if n[0] < 2:
            return None
        variance = (second - first.square() / n) / (n - 1)
        return int((variance > ACTIVE).sum())


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

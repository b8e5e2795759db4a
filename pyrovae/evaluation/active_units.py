"""How many dimensions of the code are in use."""

from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.program import known_mean

ACTIVE = 0.01  # variance of a dimension's mean over the images, above which it is active; Burda et al. (2016)


class ActiveUnits(Messenger):
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

"""Count the dimensions of the code that are in use."""

from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.inference.effects import known_mean

ACTIVE = 0.01  # a dimension is active if its mean's variance over the images is larger; Burda et al. (2016)


class ActiveUnits(Messenger):
    """Watches a guide at work, as an effect, and counts the dimensions of the code whose mean differs between images.

    Wrap the guide with it and run that on batch after batch. Burda et al. (2016), arXiv:1509.00519.
    """

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site
        self.sums: Tensor | None = None  # (3, latent): over all images, the sums of 1, mean and mean²

    def _pyro_post_sample(self, msg: Any) -> None:
        mean = known_mean(msg["fn"]) if msg["name"] == self.site else None
        if mean is None:
            return
        mean = mean.detach().double()
        sums = torch.stack([torch.ones_like(mean), mean, mean.square()]).sum(1)
        self.sums = sums if self.sums is None else self.sums + sums

    @property
    def active_units(self) -> int | None:
        """The number of dimensions whose mean has a variance above 0.01 over the images seen so far.

        None if the means are not known in closed form, as averages of draws would vary by themselves, or if there are
        fewer than two images.
        """
        if self.sums is None:
            return None
        n, first, second = self.sums
        if n[0] < 2:
            return None
        variance = (second - first.square() / n) / (n - 1)
        return int((variance > ACTIVE).sum())

"""The weight of the KL term, as an effect."""

from typing import Any

from pyro.poutine.messenger import Messenger
from torch import Tensor


class KLWeight(Messenger):
    """An effect: scales the log-probability of the site `z`, to be put on the model and on the guide.

    `weight` may change between steps, as in a warm-up. None takes the site out altogether, for a posterior that has no
    density. Higgins et al. (2017), beta-VAE; warm-up: Bowman et al. (2016), arXiv:1511.06349.
    """

    def __init__(self, weight: float | Tensor | None = 1.0, site: str = "z") -> None:
        super().__init__()
        self.weight, self.site = weight, site

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] != self.site:
            return
        if self.weight is None:
            msg["mask"] = False
        else:
            msg["scale"] = msg["scale"] * self.weight

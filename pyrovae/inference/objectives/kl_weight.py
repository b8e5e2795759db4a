"""The weight of the KL term, as a Pyro effect."""

from pyro.poutine.messenger import Messenger
from pyro.poutine.runtime import Message
from torch import Tensor


class KLWeight(Messenger):
    """Multiplies the log-probability of the site `z` by `weight`: apply it to the model and to the guide.

    `weight` may change between steps, as in a warm-up. With None the site does not count at all: for a posterior that
    has no density. Higgins et al. (2017), beta-VAE; warm-up: Bowman et al. (2016), arXiv:1511.06349.
    """

    def __init__(self, weight: float | Tensor | None = 1.0, site: str = "z") -> None:
        super().__init__()
        self.weight, self.site = weight, site

    def _pyro_sample(self, msg: Message[..., Tensor]) -> None:
        if msg["name"] != self.site:
            return
        if self.weight is None:
            msg["mask"] = False
        else:
            msg["scale"] = msg["scale"] * self.weight

"""The weight of the KL term, as a Pyro effect."""

from collections.abc import Collection

from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.inference.sites import is_latent
from pyrovae.inference.traces import SampleSite


class KLWeight(Messenger):
    """Multiplies the log-probability of each latent by `weight`: apply it to the model and to the guide.

    `weight` may change between steps, as in a warm-up. With None the latents do not count at all: for a posterior that
    has no density. `sites` names the latents if only some are meant. Higgins et al. (2017), beta-VAE; warm-up: Bowman
    et al. (2016), arXiv:1511.06349.
    """

    def __init__(self, weight: float | Tensor | None = 1.0, sites: Collection[str] | None = None) -> None:
        super().__init__()
        self.weight, self.sites = weight, sites

    def _pyro_sample(self, msg: SampleSite) -> None:
        if not is_latent(msg) or (self.sites is not None and msg["name"] not in self.sites):
            return
        if self.weight is None:
            msg["mask"] = False
        else:
            msg["scale"] = msg["scale"] * self.weight

"""Count the dimensions of the code that are in use."""

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.inference.effects import known_mean
from pyrovae.inference.processes import summed
from pyrovae.inference.traces import SampleSite

ACTIVE = 0.01  # a dimension is active if its mean's variance over the images is larger; Burda et al. (2016)


class ActiveUnits(Messenger):
    """Watches a guide at work, as an effect, and counts the dimensions of codes whose mean differs between images.

    Wrap the guide with it and run that on batch after batch. `sites` are vectors, the code of the program first. Burda
    et al. (2016), arXiv:1509.00519.
    """

    def __init__(self, *sites: str) -> None:
        super().__init__()
        self.sites = sites
        self.sums: dict[str, Tensor] = {}  # (3, latent) by site: over all images, the sums of 1, mean and mean²

    def _pyro_post_sample(self, msg: SampleSite) -> None:
        if msg["name"] not in self.sites or len(msg["fn"].batch_shape) != 1:  # with more it depends on what is summed
            return
        mean = known_mean(msg["fn"])
        if mean is None:
            return
        mean = mean.detach().double()
        sums = torch.stack([torch.ones_like(mean), mean, mean.square()]).sum(1)
        self.sums[msg["name"]] = self.sums.get(msg["name"], 0.0) + sums

    def sum_over_processes(self) -> None:
        """Add up what all processes of a training have seen."""
        self.sums = dict(zip(self.sums, summed(*self.sums.values())))

    @property
    def active_units(self) -> int | None:
        """The number of dimensions of the code whose mean has a variance above 0.01 over the images seen so far.

        None if the means are not known in closed form, as averages of draws would vary by themselves, or if there are
        fewer than two images.
        """
        return self.by_site().get(self.sites[0]) if self.sites else None

    def by_site(self) -> dict[str, int]:
        """Return the number of such dimensions of each site, where it is known."""
        return {name: _active(*sums) for name, sums in self.sums.items() if sums[0, 0] >= 2}


def _active(n: Tensor, first: Tensor, second: Tensor) -> int:
    """Count the dimensions with a variance above 0.01, from the sums of 1, mean and mean²."""
    variance = (second - first.square() / n) / (n - 1)
    return int((variance > ACTIVE).sum())

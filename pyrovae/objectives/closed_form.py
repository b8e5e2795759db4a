"""The KL of two distributions, where it is known."""

import contextlib

from pyro.distributions import Distribution
from torch import Tensor
from torch.distributions import kl_divergence


def known_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q ‖ p) in closed form, or None."""
    with contextlib.suppress(NotImplementedError):
        return kl_divergence(q, p)
    return None

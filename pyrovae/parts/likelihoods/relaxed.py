"""The Bernoulli distribution, also as a relaxed score of fractions."""

from collections.abc import Sequence
from typing import ClassVar

import pyro.distributions as dist
from pyro.distributions import constraints
from torch import Tensor


class Bernoulli(dist.Bernoulli):  # type: ignore[misc]  # Pyro derives it from torch's when imported
    """A Bernoulli distribution over {0, 1}; if it is `relaxed`, it also scores what lies between, by cross-entropy."""

    # Any logit will do; one that is not finite shows in the loss.
    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, logits: Tensor, relaxed: bool) -> None:
        self.support = constraints.unit_interval if relaxed else constraints.boolean
        super().__init__(logits=logits)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "Bernoulli":
        new = super().expand(batch_shape, self._get_checked_instance(Bernoulli, _instance))
        new.support = self.support
        return new

"""The terms of an ELBO, each with its value in Pyro and in plain PyTorch."""

from typing import NamedTuple

import torch
from torch import Tensor

TOLERANCE = 1e-9  # in nats per image, or relative to terms larger than 1 nat: float64 has 16 digits


class Term(NamedTuple):
    """A term of the ELBO in nats per image: its value in Pyro and, if it has a formula, in plain PyTorch."""

    name: str
    sign: str
    in_pyro: float
    in_torch: float | None
    difference: float | None  # the largest of any image, so that differences of opposite sign do not cancel

    @property
    def agrees(self) -> bool:
        """Whether the two values are equal but for rounding; true for a term that has only one."""
        return self.difference is None or self.difference <= TOLERANCE * max(1.0, abs(self.in_pyro))


class TermByImage(NamedTuple):
    """A term of the ELBO with a value for each image, (n,)."""

    name: str
    sign: str
    in_pyro: Tensor
    in_torch: Tensor | None

    def mean(self) -> Term:
        """Return the mean over the images."""
        if self.in_torch is None:
            return Term(self.name, self.sign, _mean(self.in_pyro), None, None)
        difference = (self.in_pyro - self.in_torch).abs().max().item()
        return Term(self.name, self.sign, _mean(self.in_pyro), _mean(self.in_torch), difference)


def signed_sum(name: str, terms: list[TermByImage]) -> TermByImage:
    """Add terms by their signs; in plain PyTorch only if all of them have a formula."""
    signed = [(-1 if term.sign == "−" else 1, term) for term in terms]
    in_pyro = torch.stack([sign * term.in_pyro for sign, term in signed]).sum(0)
    in_torch = [sign * term.in_torch for sign, term in signed if term.in_torch is not None]
    return TermByImage(name, "=", in_pyro, torch.stack(in_torch).sum(0) if len(in_torch) == len(terms) else None)


def kl_at_draws(name: str, posterior: TermByImage, prior: TermByImage) -> TermByImage:
    """Return log q − log p of a latent at the values that were drawn, from its two terms of the ELBO."""
    return signed_sum(name, [posterior._replace(sign="+"), prior._replace(sign="−")])


def _mean(values: Tensor) -> float:
    return values.sum().item() / len(values)

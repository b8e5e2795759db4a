"""Finds the part of a program that made the distribution of a site, to show its formula and its density."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from pyro.distributions import MaskedDistribution
from pyro.distributions.torch_distribution import ExpandedDistribution
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from pyrovae.parts.densities import declared
from pyrovae.program import Program


class Call(NamedTuple):
    """A call of a module: by its name in the program, with its first argument and what it returned."""

    name: str  # likelihood, inference.posteriors.0
    module: nn.Module
    argument: object
    returned: Any


class Made(Messenger):
    """Keeps the calls of a program's modules, and the modules that sites are drawn in, as a Pyro effect handler."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.drawing: dict[str, nn.Module] = {}  # modules whose `forward` has a sample statement
        self._running: list[tuple[str, nn.Module]] = []

    def _pyro_sample(self, msg: object) -> None:
        if self._running:
            name, module = self._running[-1]
            self.drawing[name] = module

    def maker(self, distribution: Distribution) -> Call | None:
        """Return the call that made a distribution, which plates may have expanded since.

        Of several modules that handed it on, that is the first which says what it is.
        """
        makers = [call for call in self.calls if _is_made_from(distribution, call.returned)]
        saying = [call for call in makers if declared(call.module, "formula") or declared(call.module, "log_density")]
        return next(iter([*saying, *makers]), None)

    def source(self, argument: object) -> str | None:
        """Return the name of the child of the program that returned an argument."""
        return next((call.name for call in self.calls if call.returned is argument and "." not in call.name), None)

    def enter(self, name: str, module: nn.Module) -> None:
        self._running.append((name, module))

    def leave(self, args: tuple[object, ...], kwargs: dict[str, object], returned: object) -> None:
        name, module = self._running.pop()
        self.calls.append(Call(name, module, next(iter((*args, *kwargs.values())), None), returned))


@contextmanager
def recording(program: Program) -> Iterator[Made]:
    """Record each call of a program's modules in the block."""
    with ExitStack() as hooks, Made() as made:
        for name, module in program.named_modules():
            if module is not program:
                _watch(made, name, module, hooks)
        yield made


def _watch(made: Made, name: str, module: nn.Module, hooks: ExitStack) -> None:
    before = module.register_forward_pre_hook(lambda *_: made.enter(name, module))
    after = module.register_forward_hook(
        lambda _, args, kwargs, returned: made.leave(args, kwargs, returned), with_kwargs=True
    )
    hooks.callback(before.remove)
    hooks.callback(after.remove)


def leaf_of(distribution: Distribution) -> Distribution:
    """Unwrap a distribution: return the one that others made independent, masked or expanded."""
    while isinstance(distribution, Independent | MaskedDistribution | ExpandedDistribution):
        distribution = distribution.base_dist
    return distribution


def _is_made_from(distribution: Distribution, returned: object) -> bool:
    """Check that a distribution is what was returned, or a copy, as plates make them: of one family, the same numbers.

    Only what both have is compared: torch adds the probabilities of logits, and the like, when they are first read.
    """
    if not isinstance(returned, Distribution):
        return False
    one, other = leaf_of(distribution), leaf_of(returned)
    if type(one) is not type(other) or one.event_shape != other.event_shape:
        return False
    ours, theirs = numbers_of(one), numbers_of(other)
    common = ours.keys() & theirs.keys()
    return one is other or (bool(common) and all(_equal(ours[name], theirs[name]) for name in common))


def numbers_of(distribution: Distribution) -> dict[str, Tensor]:
    """Return the parameters of a distribution, and of those that it is made of."""
    numbers: dict[str, Tensor] = {}
    for name, value in vars(distribution).items():
        if isinstance(value, Tensor):
            numbers[name] = value
        elif isinstance(value, Distribution):
            numbers |= {f"{name}.{inner}": number for inner, number in numbers_of(leaf_of(value)).items()}
    return numbers


def _equal(expanded: Tensor, value: Tensor) -> bool:
    """Compare values in float64; those of a copy may be rounded once more."""
    fits = all(1 in pair or pair[0] == pair[1] for pair in zip(reversed(expanded.shape), reversed(value.shape)))
    return fits and torch.allclose(expanded, value, rtol=1e-12, atol=1e-12)

"""Lists what a program consists of: its functions as they are written, and the sample sites of a trace."""

import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import NamedTuple, TypeGuard, cast

from pyro.distributions import MaskedDistribution, TorchDistribution
from pyro.distributions.torch_distribution import ExpandedDistribution
from pyro.poutine import Trace
from pyro.poutine.runtime import Message
from torch.distributions import Distribution, Independent, TransformedDistribution

from pyrovae.explain.dependencies import Dependence
from pyrovae.inference.sites import variables_of
from pyrovae.inference.traces import SampleSite, is_summed
from pyrovae.parts.densities import declared

PACKAGE = Path(__file__).parents[1]


class Listing(NamedTuple):
    """The source of one function, and where it is written."""

    name: str  # VAE.model
    file: str
    line: int
    text: str


class Site(NamedTuple):
    """A sample site of a trace."""

    program: str  # model or guide
    name: str
    distribution: str  # Bernoulli.to_event(3)
    batch: tuple[int, ...]
    event: tuple[int, ...]
    plates: dict[str, int]  # the size of each plate around the site
    observed: bool
    summed: bool  # over all its values, which are in the batch
    parents: tuple[str, ...]  # what its distribution depends on
    learned: bool  # whether its distribution has parameters of its own

    @property
    def numbers(self) -> int:
        """How many numbers one draw of the site consists of."""
        return math.prod(self.batch + self.event)


def listing_of(function: Callable[..., object]) -> Listing | None:
    """Read the source of a function; None if it is in no file, because it was typed at a prompt."""
    try:
        lines, line = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or ""
    except (OSError, TypeError):
        return None
    return Listing(function.__qualname__, _short_name(Path(file)), line, inspect.cleandoc("\n" + "".join(lines)))


def listings_of(part: object, method_name: str) -> list[Listing]:
    """Read the source of a method, and of what it calls, except functions of torch and Pyro."""
    method = getattr(type(part), method_name, None)
    if not _is_listed(method):
        return []
    functions = dict.fromkeys([method, *_called_by(method, type(part))])
    return [listing for listing in map(listing_of, functions) if listing]


def _called_by(function: FunctionType, kind: type) -> list[FunctionType]:
    """Find the functions that a method of the class `kind` names: other methods, and functions of its module."""
    names = function.__code__.co_names
    attributes = [inspect.getattr_static(kind, name, function.__globals__.get(name)) for name in names]
    return [attribute for attribute in attributes if _is_listed(attribute)]


def _is_listed(attribute: object) -> TypeGuard[FunctionType]:
    if not inspect.isfunction(attribute) or attribute is declared:
        return False
    return not attribute.__module__.startswith(("torch.", "pyro."))


def sites_of(program: str, trace: Trace, depends: Mapping[str, Dependence]) -> list[Site]:
    """List the random variables of a trace."""
    return [_site(program, name, node, depends[name]) for name, node in variables_of(trace).items()]


def _site(program: str, name: str, node: SampleSite, dependence: Dependence) -> Site:
    fn, plates = node["fn"], {frame.name: frame.size for frame in node["cond_indep_stack"]}
    batch = node["unscaled_log_prob"].shape
    shapes, summed = (tuple(batch), tuple(fn.event_shape)), is_summed(node)
    return Site(program, name, describe(fn), *shapes, plates, node["is_observed"], summed, *dependence)


def distribution_at(node: "Message[..., object]") -> TorchDistribution:
    """Return the distribution of a sample site."""
    return cast(TorchDistribution, node["fn"])


def describe(distribution: Distribution) -> str:
    """Name a distribution as Pyro code would: `Bernoulli.mask.to_event(3)`, `Normal.to_event(1) bent 2 times`."""
    if isinstance(distribution, Independent):
        return f"{describe(distribution.base_dist)}.to_event({distribution.reinterpreted_batch_ndims})"
    if isinstance(distribution, MaskedDistribution):
        return f"{describe(distribution.base_dist)}.mask"
    if isinstance(distribution, ExpandedDistribution):  # the plate has expanded it
        return describe(distribution.base_dist)
    name = type(distribution).__name__
    if name == "TransformedDistribution" and isinstance(distribution, TransformedDistribution):
        return f"{describe(distribution.base_dist)} bent {len(distribution.transforms)} times"
    return name


def _short_name(file: Path) -> str:
    """Return the path from the package on; for a file outside the package, only its name."""
    return file.relative_to(PACKAGE.parent).as_posix() if file.is_relative_to(PACKAGE) else file.name

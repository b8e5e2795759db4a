"""What a program is made of: its functions as written, and the sites of a trace."""

import inspect
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pyro.distributions import MaskedDistribution
from pyro.distributions.torch_distribution import ExpandedDistribution
from pyro.poutine.util import site_is_subsample
from torch.distributions import Independent, TransformedDistribution

from pyrovae.inference.objectives.sites import sample_sites
from pyrovae.parts.densities import declared

PACKAGE = Path(__file__).parents[1]


class Source(NamedTuple):
    """A function as written."""

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
    plates: dict[str, int]
    observed: bool

    @property
    def numbers(self) -> int:
        return math.prod(self.batch + self.event)


def source_of(function: Any) -> Source | None:
    """None for what has no file, as a function typed at a prompt."""
    try:
        lines, line = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or ""
    except (OSError, TypeError):
        return None
    return Source(function.__qualname__, _short(Path(file)), line, inspect.cleandoc("\n" + "".join(lines)))


def methods_of(member: object, *names: str) -> list[Source]:
    """These methods as written, and after each the functions and methods of the package, or of a user's, that it calls.

    None of torch's or Pyro's own.
    """
    found: dict[Any, None] = {}
    for name in names:
        method = getattr(type(member), name, None)
        if _is_ours(method):
            found |= dict.fromkeys([method, *_called_by(method, type(member))])
    return [source for source in map(source_of, found) if source]


def _called_by(function: Any, kind: type) -> list[Any]:
    names = function.__code__.co_names
    named = [inspect.getattr_static(kind, name, function.__globals__.get(name)) for name in names]
    return [each for each in named if _is_ours(each)]


def _is_ours(function: Any) -> bool:
    known = inspect.isfunction(function) and function is not declared
    return known and not function.__module__.startswith(("torch.", "pyro."))


def sites_of(program: str, trace: Any) -> list[Site]:
    """All but the plates themselves, which are sites of their own."""
    sites = sample_sites(trace).items()
    return [_site(program, name, node) for name, node in sites if not site_is_subsample(node)]


def _site(program: str, name: str, node: Any) -> Site:
    fn, plates = node["fn"], {frame.name: frame.size for frame in node["cond_indep_stack"]}
    return Site(program, name, written(fn), tuple(fn.batch_shape), tuple(fn.event_shape), plates, node["is_observed"])


def written(distribution: torch.distributions.Distribution) -> str:
    """As one would write it: `Bernoulli.mask.to_event(3)`, `Normal.to_event(1) bent 2 times`."""
    if isinstance(distribution, Independent):
        return f"{written(distribution.base_dist)}.to_event({distribution.reinterpreted_batch_ndims})"
    if isinstance(distribution, MaskedDistribution):
        return f"{written(distribution.base_dist)}.mask"
    if isinstance(distribution, ExpandedDistribution):  # to the plate
        return written(distribution.base_dist)
    name = type(distribution).__name__
    if name == "TransformedDistribution" and isinstance(distribution, TransformedDistribution):
        return f"{written(distribution.base_dist)} bent {len(distribution.transforms)} times"
    return name


def _short(file: Path) -> str:
    """From the package on, whatever the folders above it are called; of a user's own file, its name."""
    return file.relative_to(PACKAGE.parent).as_posix() if file.is_relative_to(PACKAGE) else file.name

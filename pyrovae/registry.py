"""Names to classes. A member of a family asks for what it needs by the names of its parameters."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyrovae.config import InputError, did_you_mean


def lookup(family: str, name: str, members: Mapping[str, Any]) -> Any:
    """The member called `name`; or a user's own class, as `package.module:Class` or `path/to/file.py:Class`."""
    if name in members:
        return members[name]
    if ":" not in name:
        raise InputError(f"{family}: expected one of {', '.join(members)}, got {name!r}{did_you_mean(name, members)}")
    place, _, attribute = name.rpartition(":")
    try:
        member = getattr(_module(place), attribute)
    except (ImportError, OSError, AttributeError) as error:
        raise InputError(f"{family}: expected a class at {name!r}, got: {error}") from None
    if not callable(member):
        raise InputError(f"{family}: expected a class at {name!r}, got: {member!r}")
    return member


def _module(place: str) -> Any:
    if not place or place.startswith("."):
        raise ImportError(f"no module is called {place!r}")
    if not place.endswith(".py"):
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {place}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(function: Callable[..., Any], offered: Mapping[str, Any]) -> Any:
    """Call with those of the offered values that the parameters of `function` name.

    >>> call(lambda latent_dim: latent_dim + 1, {"latent_dim": 2, "scale": None})
    3
    """
    wanted = inspect.signature(function).parameters
    return function(**{name: value for name, value in offered.items() if name in wanted})

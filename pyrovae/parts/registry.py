"""Finds the class that a setting names, and calls it with the arguments that its parameters name.

A constructor says what it needs by the names of its parameters: `def __init__(self, latent_dim, components)` receives
these two settings and nothing else. So a new member needs no registration of its settings and no common base class.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pyrovae.errors import InputError, did_you_mean

T = TypeVar("T")


def lookup(family: str, name: str, members: Mapping[str, object]) -> Any:
    """Return the member called `name`, or a user's own class, named `package.module:Class` or `path/to/file.py:Class`.

    Raises `InputError`, with the nearest known name, if there is no such member or class. `family` is for the message.
    """
    if name in members:
        return members[name]
    if ":" not in name:
        own_class = "" if family in ("figure", "activation") else " or FILE.py:Class"
        known = f"{', '.join(members)}{own_class}"
        raise InputError(f"{family}: expected one of {known}, got {name!r}{did_you_mean(name, members)}")
    place, _, attribute = name.rpartition(":")
    try:
        member = getattr(_module(place), attribute)
    except (ImportError, OSError, AttributeError, SyntaxError) as error:
        raise InputError(f"{family}: expected a class at {name!r}, got: {error}") from None
    if not callable(member):
        raise InputError(f"{family}: expected a class at {name!r}, got: {member!r}")
    return member


def _module(place: str) -> ModuleType:
    """Import a module by its name or by the path of its file."""
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


def parameters_of(member: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function or class by name.

    A constructor that takes `**settings`, to pass them on to its base class, also has the parameters of that base.
    """
    parameters = dict(inspect.signature(member).parameters)
    for base in inspect.getmro(member)[1:] if inspect.isclass(member) else ():
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
        named = {name: parameter for name, parameter in parameters.items() if parameter.kind != parameter.VAR_KEYWORD}
        parameters = dict(inspect.signature(base).parameters) | named
    return parameters


def call(family: str, member: Callable[..., T], offered: Mapping[str, object]) -> T:
    """Call `member` with those of the offered values that its parameters name.

    Raises `InputError` if it requires a value that is not offered, or if it raises `ValueError` itself.

    >>> call("prior", lambda latent_dim: latent_dim + 1, {"latent_dim": 2, "scale": None})
    3
    """
    try:
        parameters = parameters_of(member)
    except ValueError as error:  # Python has no signature for some built-in classes
        raise InputError(f"{family}: expected a class that names what it asks for, got: {error}") from None
    required = [name for name, parameter in parameters.items() if _is_required(parameter)]
    if unknown := [name for name in required if name not in offered]:
        name = getattr(member, "__name__", repr(member))
        raise InputError(f"{family}: {name} asks for {unknown[0]!r}, expected one of {', '.join(offered)}")
    try:
        return member(**{name: offered[name] for name in offered if name in parameters})
    except ValueError as error:
        raise InputError(str(error).split("\n")[0]) from None


def _is_required(parameter: inspect.Parameter) -> bool:
    optional = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in optional

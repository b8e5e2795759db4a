"""Names to classes. A member of a family asks for what it needs by the names of its parameters."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyrovae.errors import InputError, did_you_mean


def lookup(family: str, name: str, members: Mapping[str, Any]) -> Any:
    """The member called `name`; or a user's own class, as `package.module:Class` or `path/to/file.py:Class`."""
    if name in members:
        return members[name]
    if ":" not in name:
        own = "" if family in ("figure", "activation") else " or FILE.py:Class"
        known = f"{', '.join(members)}{own}"
        raise InputError(f"{family}: expected one of {known}, got {name!r}{did_you_mean(name, members)}")
    place, _, attribute = name.rpartition(":")
    try:
        member = getattr(_module(place), attribute)
    except (ImportError, OSError, AttributeError, SyntaxError) as error:
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


def _is_required(parameter: inspect.Parameter) -> bool:
    optional = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in optional


def asked_by(member: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a function or class asks for; a constructor that hands `**settings` on asks for what its bases ask for."""
    wanted = dict(inspect.signature(member).parameters)
    for base in inspect.getmro(member)[1:] if inspect.isclass(member) else ():
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in wanted.values()):
            break
        wanted = {name: found for name, found in wanted.items() if found.kind != found.VAR_KEYWORD}
        wanted = dict(inspect.signature(base).parameters) | wanted
    return wanted


def call(family: str, member: Callable[..., Any], offered: Mapping[str, Any]) -> Any:
    """Call with those of the offered values that the parameters of `member` name.

    >>> call("prior", lambda latent_dim: latent_dim + 1, {"latent_dim": 2, "scale": None})
    3
    """
    try:
        wanted = asked_by(member)
    except ValueError as error:  # of what is built in, Python tells none
        raise InputError(f"{family}: expected a class that names what it asks for, got: {error}") from None
    required = [name for name, parameter in wanted.items() if _is_required(parameter)]
    if unknown := [name for name in required if name not in offered]:
        name = getattr(member, "__name__", repr(member))
        raise InputError(f"{family}: {name} asks for {unknown[0]!r}, expected one of {', '.join(offered)}")
    try:
        return member(**{name: value for name, value in offered.items() if name in wanted})
    except ValueError as error:
        raise InputError(str(error).split("\n")[0]) from None

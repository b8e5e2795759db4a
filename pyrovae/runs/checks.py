"""Check the version of a run, and that the contents of its files fit the `TypedDict`s of `pyrovae.runs.schema`."""

import json
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints, is_typeddict

from pyrovae import __version__
from pyrovae.errors import InputError

T = TypeVar("T")


def expect(content: object, kind: type[T], what: str) -> T:
    """Return `content` if it fits the `TypedDict` `kind`; raise ValueError otherwise."""
    _check(content, kind, what)
    return cast(T, content)


def _check(value: object, kind: Any, what: str) -> None:
    """Check all required keys of a `TypedDict`, or else the class of the value. The items of a list are not checked."""
    if not is_typeddict(kind):
        if not isinstance(value, _classes(kind)) or isinstance(value, bool) != (kind is bool):  # to Python True is 1
            raise ValueError(f"{what} is {value!r:.40}")
        return
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {value!r:.40}")
    for name, inner in _required(kind).items():
        if name not in value:
            raise ValueError(f"{what} without {name}")
        _check(value[name], inner, f"{name} of {what}")


@cache
def _required(kind: Any) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(kind).items() if name in kind.__required_keys__}


@cache
def _classes(kind: Any) -> tuple[type, ...]:
    """Return the classes that a value of this annotation may have. A float may be an int."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    classes = {get_origin(one) or one for one in kinds}
    return (*classes, int) if float in classes else (*classes,)


def read_version(summary: Path) -> str:
    """Read from summary.json which version of pyrovae wrote the run."""
    content = json.loads(summary.read_text(encoding="utf-8"))
    version: str = content.get("versions", {}).get("pyrovae", "an unknown version")
    return version


def check_version(version: object, where: Path) -> None:
    """Raise `InputError` if another minor version of pyrovae wrote the run: 0.1.x reads only what some 0.1.x wrote."""
    readable = __version__.split(".")[:2]
    if str(version).split(".")[:2] != readable:  # a file may hold anything
        raise InputError(f"run: expected a run of pyrovae {'.'.join(readable)}, got one of {version} at {where}")

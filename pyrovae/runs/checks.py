"""Check the version of a run, and that the contents of its files fit the `TypedDict`s of `pyrovae.runs.schema`."""

import json
import math
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints, is_typeddict

from pyrovae import __version__
from pyrovae.errors import InputError

T = TypeVar("T")
MOST_DIGITS = 20  # of a whole number in a file


def expect(content: object, kind: type[T], what: str) -> T:
    """Return `content` if it fits the `TypedDict` `kind`; raise ValueError otherwise."""
    _check(content, kind, what)
    return cast(T, content)


def json_of(text: str) -> Any:
    """Read JSON; raise ValueError for numbers that are not finite, or that have more digits than any of pyrovae's."""
    return json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)


def _refuse(number: str) -> float:
    raise ValueError(f"the number {number:.40}")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _whole(text: str) -> float:
    return int(text) if len(text) <= MOST_DIGITS else _refuse(text)


def _check(value: object, kind: object, what: str) -> None:
    """Check the keys of a `TypedDict` that are there, the items of lists and dicts, or else the class of the value."""
    if is_typeddict(kind):
        _check_keys(value, kind, what)
        return
    if not isinstance(value, _classes(kind)) or isinstance(value, bool) != (kind is bool):  # to Python True is 1
        raise ValueError(f"{what} is {value!r:.40}")
    if get_origin(kind) is list and isinstance(value, list):
        for number, item in enumerate(value, 1):
            _check(item, get_args(kind)[0], f"item {number} of {what}")
    if get_origin(kind) is dict and isinstance(value, dict):
        for name, item in value.items():
            _check(item, get_args(kind)[1], f"{name} of {what}")


def _check_keys(value: object, kind: Any, what: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {value!r:.40}")
    for name in sorted(kind.__required_keys__ - value.keys()):
        raise ValueError(f"{what} without {name}")
    for name, inner in _hints(kind).items():
        if name in value:
            _check(value[name], inner, f"{name} of {what}")


@cache
def _hints(kind: object) -> dict[str, object]:
    return get_type_hints(kind)


@cache
def _classes(kind: object) -> tuple[type, ...]:
    """Return the classes that a value of this annotation may have. A float may be an int."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    classes = {get_origin(one) or one for one in kinds}
    return (*classes, int) if float in classes else (*classes,)


def read_version(summary: Path) -> str:
    """Read from summary.json which version of pyrovae wrote the run."""
    content = json_of(summary.read_text(encoding="utf-8"))
    version: str = content.get("versions", {}).get("pyrovae", "an unknown version")
    return version


def check_version(version: object, where: Path) -> None:
    """Raise `InputError` if another minor version of pyrovae wrote the run: 0.1.x reads only what some 0.1.x wrote."""
    readable = __version__.split(".")[:2]
    if str(version).split(".")[:2] != readable:  # a file may hold anything
        raise InputError(f"run: expected a run of pyrovae {'.'.join(readable)}, got one of {version} at {where}")

"""What is wrong with a setting, in one line."""

from collections.abc import Iterable
from typing import Any

from pyrovae.errors import did_you_mean

PYDANTIC = {"path_type": "expected a path", "int_parsing_size": "expected a number of fewer digits"}  # its own say less


def in_one_line(fault: Any, known: Iterable[str]) -> str:
    """What is wrong with a setting, from an error of pydantic's; `known` are the names of all settings."""
    name = ".".join(str(part) for part in fault["loc"][:1])
    if fault["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{did_you_mean(name, known)}"
    message: str = fault["msg"].removeprefix("Value error, ").replace("Input should be ", "expected ")
    message = PYDANTIC.get(fault["type"], message)
    if not name:
        return message
    hint = ""
    if fault["type"] == "literal_error" and isinstance(fault["input"], str):
        hint = did_you_mean(fault["input"], fault["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", "))
    return f"{name}: {message}, got {_shown(fault['input'])}{hint}"


def _shown(value: Any, most: int = 200) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python prints no number of more than 4,300 digits
        return "a number of too many digits"
    return text if len(text) <= most else text[:most] + "..."

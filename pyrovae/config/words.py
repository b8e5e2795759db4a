"""Write pydantic's errors as messages of one line."""

from collections.abc import Iterable

from pydantic_core import ErrorDetails

from pyrovae.errors import did_you_mean

# Clearer than the messages that pydantic has for these types of error.
MESSAGES = {"path_type": "expected a path", "int_parsing_size": "expected a number of fewer digits"}


def in_one_line(error: ErrorDetails, known: Iterable[str]) -> str:
    """Write an error of pydantic as `name: expected WHAT, got WHAT`. `known` are the names of all settings."""
    name = ".".join(str(part) for part in error["loc"][:1])
    if error["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{did_you_mean(name, known)}"
    message: str = error["msg"].removeprefix("Value error, ").replace("Input should be ", "expected ")
    message = MESSAGES.get(error["type"], message)
    if not name:
        return message
    hint = ""
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        hint = did_you_mean(error["input"], error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", "))
    return f"{name}: {message}, got {_as_text(error['input'])}{hint}"


def _as_text(value: object, most: int = 200) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print an integer of more than 4,300 digits
        return "a number of too many digits"
    return text if len(text) <= most else text[:most] + "..."

"""Read the values of flags and arguments; bad ones are refused in one line."""

import re
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from pyrovae.config.values import MOST
from pyrovae.errors import InputError, did_you_mean
from pyrovae.runs.files import path_of


class Whole(click.ParamType):
    """A whole number from `low` to `high`."""

    name = "whole number"

    def __init__(self, low: int = 1, high: int = MOST) -> None:
        self.low, self.high = low, high

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return whole(_name_of(param), str(value), self.low, self.high)


class Named(click.ParamType):
    """A path. Empty text is refused, because Python takes it for the working directory."""

    name = "path"

    def convert(self, value: Path | str, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return path_of(_name_of(param), value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete files and folders."""
        return [CompletionItem(incomplete, type="file")]


def _name_of(param: click.Parameter | None) -> str:
    """Name a flag as its setting: `--ais-steps` is ais_steps."""
    return param.opts[0].lstrip("-").replace("-", "_") if param else "value"


def examples(*lines: str) -> str:
    """Write the end of a command's help: command lines to be copied."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


SEED = Whole(0, 2**32 - 1)
NAMED = Named()


def whole(what: str, text: str, low: int, high: int = MOST) -> int:
    """Read a whole number; raises `InputError` if `text` is not one, or not from `low` to `high`."""
    if re.fullmatch(r"[0-9]{1,18}", text.strip()) and low <= int(text) <= high:
        return int(text)
    raise InputError(f"{what}: expected a whole number from {low} to {high}, got {text!r}")


def one_line(error: click.UsageError) -> str:
    """Say what is wrong with a command line, in the form of all other errors."""
    known = error.ctx.command.get_params(error.ctx) if error.ctx else []
    if isinstance(error, click.NoSuchOption):
        options = [option for parameter in known for option in parameter.opts]
        return f"unknown flag {error.option_name}{did_you_mean(error.option_name, options)}"
    if isinstance(error, click.MissingParameter) and error.param:
        what = {"run": "a folder of pyrovae train", "runs": "folders of pyrovae train"}
        return f"{error.param.name}: expected {what.get(str(error.param.name), 'a value')}, got none"
    if isinstance(error, click.BadOptionUsage):
        name = error.option_name.lstrip("-").replace("-", "_")
        return f"{name}: expected {'no value, got one' if 'not take' in error.message else 'a value, got none'}"
    extra = re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", error.format_message(), re.DOTALL)
    return f"expected no more arguments, got {extra[1]!r}" if extra else error.format_message()

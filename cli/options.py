"""The settings of `Config` as flags, in groups, and the files that flags name."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo

from pyrovae.config.settings import CLASSES, PLACES, Config, as_text
from pyrovae.errors import InputError
from pyrovae.runs.files import cannot_write, write_whole

from .completion import of_setting


class SettingsCommand(click.Command):
    """A command with a flag for every setting, which its help shows by group.

    The command gets the flags as text: `Config` checks them as it checks TOML and Python arguments, with the same
    messages. With `lists` a flag may be repeated, and the command gets a tuple of texts.
    """

    def __init__(self, *args: Any, lists: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [_flag(name, field, lists) for name, field in Config.model_fields.items()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Run": []}
        for parameter in self.get_params(ctx):
            field = Config.model_fields.get(parameter.name or "")
            about: Any = field.json_schema_extra if field else {"group": "Run"}
            row = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if row:
                groups.setdefault(about["group"], []).append(row)
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl(rows)


def _flag(name: str, field: FieldInfo, lists: bool) -> click.Option:
    default = "" if field.default in (None, "", ()) else f"  [{as_text(field.default)}]"
    about = f"{field.description}{default}"
    return click.Option(
        [_flag_of(name)], metavar=_metavar(field), help=about, multiple=lists, shell_complete=of_setting
    )


def _metavar(field: FieldInfo) -> str:
    if choices := [choice for choice in get_args(field.annotation) if isinstance(choice, str)]:
        return "|".join(choices)
    words = {"tuple": "N,N", "int": "N", "float": "X", "Path": "DIR"}
    return next((word for kind, word in words.items() if kind in str(field.annotation)), "NAME")


def repeats(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that repeat which classes and data a run folder names but may not load by itself, and --trust."""
    for name in reversed((*PLACES, *CLASSES)):
        about = f"repeat {'data outside RUN' if name in PLACES else 'a class of your own'} that its config names"
        metavar = {"dataset": "KIND:PATH", "data_dir": "DIR"}.get(name, "FILE.py:CLASS")
        command = click.option(_flag_of(name), name, metavar=metavar, help=about)(command)
    return trusts(command)


def trusts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flag by which a run folder is opened whatever it names, and even if its files have changed."""
    about = "open RUN even if it names code or data outside itself, or its files have changed since its training"
    return click.option("--trust", is_flag=True, help=about)(command)


def repeated_of(flags: Mapping[str, str | bool | None]) -> dict[str, Any]:
    """Return the values of those flags that were typed, as arguments of `Run`."""
    return {
        name: value
        for name, value in flags.items()
        if name in (*PLACES, *CLASSES, "trust") and value not in (None, False)
    }


def _flag_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def check_out(out: Path | None, kinds: tuple[str, ...], force: bool, what: str = "out") -> None:
    """Refuse an output file with another suffix, one that exists, and one in a folder that cannot be written."""
    if out is None:
        return
    if out.suffix not in kinds:
        raise InputError(f"{what}: expected a file that ends in {' or '.join(kinds)}, got {str(out)!r}")
    if out.is_dir():
        raise InputError(f"{what}: expected a file at {out}, got a folder")
    if out.exists() and not force:
        raise InputError(f"{what}: {out} already exists; expected --force or another name")
    folder = out.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{what}: expected a folder at {folder}, got {'a file' if folder.exists() else 'nothing'}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{what}: expected a folder that can be written at {folder}, got one that can only be read")


def check_out_folder(out: Path) -> None:
    """Refuse a folder that cannot be written or made; to be called before the work whose files go there."""
    nearest = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(f"out: expected a folder at {nearest}, got a file")
    if not os.access(nearest, os.W_OK):
        raise InputError(f"out: expected a folder that can be written at {nearest}, got one that can only be read")


def save_out(out: Path, content: bytes, what: str = "out") -> Path:
    """Write the file that a flag names, --out or `what`, whole or not at all; return its path."""
    try:
        write_whole(out, content)
        return out
    except OSError as error:
        raise cannot_write(what, out, error) from None

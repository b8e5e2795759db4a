"""The command `pyrovae`: one file or folder per command, imported when the command is called."""

import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from pyrovae import __version__
from pyrovae.errors import InputError, one_of, reason

from .interrupts import noted
from .processes import is_first, is_told
from .terminal import Output, opened, say
from .values import one_line

COMMANDS = {
    "train": "Train a VAE, and draw its figures.",
    "evaluate": "Estimate the log-likelihood of the test set.",
    "plot": "Draw the figures of a run.",
    "sample": "Draw images from a trained model.",
    "impute": "Fill in missing values.",
    "compress": "Compress images to what the bound says.",
    "decompress": "Restore compressed images.",
    "explore": "Write a page that decodes in the browser.",
    "report": "Write a page about a run, or about several.",
    "compare": "Compare runs in one table and one picture.",
    "sweep": "Train every combination of listed values and seeds.",
    "bench": "Time this step against its rivals.",
    "gradients": "Measure the noise of each objective's gradient.",
    "explain": "Show the program that a configuration means, and check it.",
    "list": "List presets, datasets and components.",
}


FOLDERS = {"bench", "explain"}  # commands of several files
TRAININGS = {"train", "sweep"}  # hours of work, which succeed even if their lines could not be printed
NO_ROOM = re.compile("allocate memory|out of memory|size calculation overflow", re.IGNORECASE)  # torch's messages


class LazyGroup(click.Group):
    """Imports the file of a command when the command is called: `pyrovae --help` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # not list(): the module list.py has that name here

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        place = f"{name}.command" if name in FOLDERS else name
        command: click.Command = importlib.import_module(f"pyrovae.cli.{place}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None  # click would do the same, and print an empty line

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        one_of("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="pyrovae")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Variational autoencoders written as Pyro programs.

    The first command: pyrovae train
    """
    if ctx.invoked_subcommand is None:
        say(*ctx.get_help().splitlines())


def main(args: Sequence[str] | None = None, prog_name: str = "pyrovae") -> None:
    """Run the command line. Exit codes: 0 done; 2 bad input, in one line; 130 interrupted; 1 anything else."""
    args = sys.argv[1:] if args is None else args
    if os.environ.get("_PYROVAE_COMPLETE"):
        cli.main(args, prog_name)  # answers the shell, in bytes, and exits
    with opened() as output, noted() as interrupted:
        try:
            code = cli.main(args, prog_name, standalone_mode=False) or 0
        except SystemExit:  # the command has said why in its own words
            raise
        except BaseException as error:
            line, code = ("interrupted", 130) if interrupted() else _explained(error)
            _fail(line, code)
        else:
            code = code or _unprinted(output, "".join(args[:1]))
        sys.exit(code)


def _explained(error: BaseException) -> tuple[str, int]:
    """Return the line that explains an error, and the exit code; raises the error if it is none that is foreseen."""
    if isinstance(error, click.Abort):
        if isinstance(error.__cause__, EOFError):
            raise error.__cause__
        return "interrupted", 130
    if isinstance(error, InputError):
        return str(error), 2
    if isinstance(error, click.UsageError):
        return one_line(error), 2
    if isinstance(error, FloatingPointError):
        return str(error), 1
    if isinstance(error, OSError):
        return f"expected files that can be read and written, got: {error}", 1
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_ROOM.search(str(error))):
        return f"expected settings for which the memory suffices, got: {reason(error)}", 1
    raise error


def _unprinted(output: Output, command: str) -> int:
    """Return the exit code of a command that has done its work, with a line if it could not print all of it.

    It is no matter that a reader, such as `head`, has read enough.
    """
    output.flush()
    if output.lost is None or isinstance(output.lost, BrokenPipeError):
        return 0
    _fail(f"expected to print everything on stdout, got: {output.lost.strerror}", 1)
    return 0 if command in TRAININGS else 1


def _fail(message: str, code: int) -> None:
    """Print one line, as the first process of a training, or as one that cannot reach the first."""
    line, first = " ".join(message.splitlines()), is_first()
    if first:
        say(f"pyrovae: {line}", err=True)
    if code == 2 and not is_told(line) and not first:
        say(f"pyrovae: {line}", err=True)

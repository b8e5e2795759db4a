"""The command `pyrovae`: one file or folder per command, imported when the command is called."""

import importlib
import re
import sys
from collections.abc import Sequence

import click

from pyrovae import __version__
from pyrovae.errors import InputError, one_of, reason

from .processes import is_first, is_told
from .values import one_line

COMMANDS = {
    "train": "Train a VAE, and draw its figures.",
    "evaluate": "Estimate the log-likelihood of the test set.",
    "plot": "Draw the figures of a run.",
    "sample": "Draw images from a trained model.",
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
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None, prog_name: str = "pyrovae") -> None:
    """Run the command line. Exit codes: 0 done; 2 bad input, in one line; 130 interrupted; 1 anything else."""
    try:
        sys.exit(cli.main(args, prog_name, standalone_mode=False) or 0)
    except InputError as error:
        _fail(str(error), 2)
    except click.UsageError as error:
        _fail(one_line(error), 2)
    except FloatingPointError as error:
        _fail(str(error), 1)
    except OSError as error:
        _fail(f"expected files that can be read and written, got: {error}", 1)
    except (MemoryError, RuntimeError) as error:
        if not NO_ROOM.search(str(error)) and not isinstance(error, MemoryError):
            raise
        _fail(f"expected settings for which the memory suffices, got: {reason(error)}", 1)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", 130)


def _fail(message: str, code: int) -> None:
    """End with one line, printed by the first process of a training, or by one that cannot reach the first."""
    line = " ".join(message.splitlines())
    first = is_first()
    if first:
        click.echo(f"pyrovae: {line}", err=True)
    if code == 2 and not is_told(line) and not first:
        click.echo(f"pyrovae: {line}", err=True)
    sys.exit(code)

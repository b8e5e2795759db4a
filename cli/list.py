"""pyrovae list: print the names of presets, datasets, components and figures."""

from collections.abc import Callable

import click
from rich.table import Table

from pyrovae.config.presets import presets
from pyrovae.errors import one_of

from .completion import of
from .console import Console
from .values import examples


def _members(module: str, registry: str) -> Callable[[], dict[str, str]]:
    """Return a function that lists names with the first lines of their docstrings."""

    def read() -> dict[str, str]:
        import importlib
        import inspect

        members = getattr(importlib.import_module(f"pyrovae.{module}"), registry)
        return {name: (inspect.getdoc(member) or "").split("\n")[0] for name, member in members.items()}

    return read


def _presets() -> dict[str, str]:
    return {name: text.splitlines()[0].removeprefix("# ") for name, text in presets().items()}


KINDS = {
    "presets": _presets,
    "datasets": _members("data.sources", "DATASETS"),
    "programs": _members("programs", "PROGRAMS"),
    "networks": _members("parts.networks", "NETWORKS"),
    "activations": _members("parts.networks", "ACTIVATIONS"),
    "likelihoods": _members("parts.likelihoods", "LIKELIHOODS"),
    "priors": _members("parts.priors", "PRIORS"),
    "missingness": _members("parts.missingness", "MISSINGNESS"),
    "posteriors": _members("parts.posteriors", "POSTERIORS"),
    "objectives": _members("inference.objectives", "OBJECTIVES"),
    "figures": _members("figures", "FIGURES"),
}


@click.command("list", epilog=examples("pyrovae list presets"))
@click.argument("kind", required=False, metavar="[KIND]", shell_complete=of(lambda: KINDS))
def command(kind: str | None) -> None:
    """List what there is to choose from: presets, datasets, programs, networks, activations, likelihoods, priors,
    posteriors, missingness, objectives or figures; without KIND all of them.
    """
    console = Console()
    for name in KINDS if kind is None else [one_of("list", kind, KINDS)]:
        table = Table(title=name, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        for member, about in KINDS[name]().items():
            table.add_row(member, about)
        console.print(table)
        console.print()

"""Writes what `pyrovae explain` prints."""

from collections.abc import Iterator

from rich.console import JustifyMethod, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from pyrovae.config.settings import Config
from pyrovae.explain.explanation import Explanation
from pyrovae.explain.formulas import network
from pyrovae.explain.graph import is_of_vae
from pyrovae.explain.listing import Listing
from pyrovae.explain.terms import Term

from ..console import Console
from . import column
from .column import column_diagram
from .diagram import LEGEND, plate_diagram

WIDEST = 110  # characters: longer lines are no easier to read
HEAD, QUIET, GOOD, BAD = "bold cyan", "dim", "green", "bold red"


def show(explanation: Explanation, config: Config, title: str) -> None:
    """Print an explanation."""
    console = Console()
    console.width = min(console.width, WIDEST)
    with console.trimmed():
        console.print(title, style="bold")
        for heading, parts in {
            "The formulas": _formulas(explanation, config),
            "The plates": _plates(explanation),
            "The program, as written": _listings(explanation.program),
            f"The sites, of a batch of {explanation.images}": _sites(explanation),
            "The ELBO, by site": _terms(explanation),
        }.items():
            console.print(Text(), Rule(Text(f" {heading} ", HEAD), align="left", style=QUIET), Text())
            for part in parts:
                console.print(part)


def _plates(explanation: Explanation) -> Iterator[RenderableType]:
    draw, legend = (plate_diagram, LEGEND) if is_of_vae(explanation) else (column_diagram, column.LEGEND)
    yield Padding(draw(explanation), 0)
    yield Text(f"\n{legend}", QUIET)


def _formulas(explanation: Explanation, config: Config) -> Iterator[RenderableType]:
    grid = _grid("left", "left")
    for left, right, where, part in explanation.formulas:
        grid.add_row(Text(left, "bold"), Text(right if right.startswith("≥") else f"= {right}"))
        grid.add_row("", Padding(Text("; ".join([*([part] if part else []), *where]), QUIET), (0, 0, 0, 2)))
    if named := network(config):
        grid.add_row("", Padding(Text(f"network {named}", QUIET), (0, 0, 0, 2)))
    yield grid


def _listings(listings: list[Listing]) -> Iterator[RenderableType]:
    for listing in listings:
        yield Text.assemble((listing.name, "bold"), (f"  {listing.file}:{listing.line}", QUIET))
        yield Padding(
            Syntax(
                listing.text,
                "python",
                theme="ansi_dark",
                background_color="default",
                line_numbers=True,
                start_line=listing.line,
                word_wrap=True,
            ),
            (0, 0, 1, 0),
        )


def _sites(explanation: Explanation) -> Iterator[RenderableType]:
    table = _table("", "site", "distribution", "batch", "event", "numbers", "plates", "seen", numbers=("numbers",))
    for site in explanation.sites:
        shapes = (_shape(site.batch), _shape(site.event), f"{site.numbers:,}")
        seen = "yes" if site.observed else "summed" if site.summed else "no"
        table.add_row(*map(Text, (site.program, site.name, site.distribution, *shapes, ", ".join(site.plates), seen)))
    yield table
    sizes = {name: size for site in explanation.sites for name, size in site.plates.items()}
    rows = "; ".join(f"{name}, {size} rows" for name, size in sizes.items())
    yield Text(f"\nA site scores batch × event numbers; the rows of a plate ({rows}) are independent.", QUIET)
    yield Text()
    counts = _grid("left", "right")
    for part, count in explanation.parameters.items():
        counts.add_row(part, f"{count:,}")
    counts.add_row(Text("parameters", "bold"), Text(f"{sum(explanation.parameters.values()):,}", "bold"))
    yield counts


def _terms(explanation: Explanation) -> Iterator[RenderableType]:
    numbers = ("Pyro", "plain PyTorch", "difference")
    table = _table("", "nats per image", *numbers, "", numbers=numbers)
    for term in explanation.terms:
        table.add_row(*_row(term))
    table.add_section()
    table.add_row(*_row(explanation.total))
    table.add_row(*_row(explanation.elbo))
    if explanation.kls:
        table.add_section()
        for term in explanation.kls:
            table.add_row(*_row(term))
    yield table
    if explanation.missing:
        about = f"– no formula in plain PyTorch for {', '.join(explanation.missing)}: its class has no `log_density`"
        yield Text(f"{about}; {explanation.elbo.name} is compared with the sum by site", QUIET)
    drawn = "code" if is_of_vae(explanation) else "draw"
    about = f"{explanation.images} images, one {drawn} each, the same for both; float64;"
    about += " the difference is an image's largest"
    yield Text(about, QUIET)
    agree = "They agree, as far as both are there." if explanation.missing else "They agree."
    yield Text(agree if explanation.agrees else "They do not agree.", GOOD if explanation.agrees else BAD)
    if explanation.densities:
        yield Text("\nIn plain PyTorch that is, of each pixel or of each code:\n")
        yield from _listings(explanation.densities)


def _row(term: Term) -> tuple[Text, ...]:
    in_torch, difference = ("–" if term.in_torch is None else f"{term.in_torch:.6f}"), term.difference
    mark = ("", "") if difference is None else ("✓", GOOD) if term.agrees else ("✗", BAD)
    size = "" if difference is None else f"{difference:.0e}" if difference else "0"
    style = "" if term.agrees else BAD
    return Text(term.sign), Text(term.name), Text(f"{term.in_pyro:.6f}"), Text(in_torch), Text(size, style), Text(*mark)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "–"


def _grid(*columns: JustifyMethod) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in columns:
        grid.add_column(justify=justify)
    return grid


def _table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return table

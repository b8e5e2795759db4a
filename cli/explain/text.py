"""What `pyrovae explain` prints."""

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from pyrovae.config.settings import Config
from pyrovae.explain.explanation import PARTS, Explanation, Term
from pyrovae.explain.formulas import network
from pyrovae.explain.listing import Source

from .diagram import LEGEND, diagram

WIDEST = 110  # characters: longer lines are no easier to read
HEAD, QUIET, GOOD, BAD = "bold cyan", "dim", "green", "bold red"


def show(found: Explanation, config: Config, title: str) -> str:
    """All of it as text, with colours where `click.echo` keeps them."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDEST)
    with console.capture() as held:
        console.print(Text(title, "bold"))
        for heading, parts in {
            "The formulas": _formulas(found, config),
            "The plates": [Padding(diagram(found), 0), Text(f"\n{LEGEND}", QUIET)],
            "The program, as written": _sources(found.program),
            f"The sites, of a batch of {found.images}": _sites(found),
            "The ELBO, by site": _check(found),
        }.items():
            console.print(Text(), Rule(Text(f" {heading} ", HEAD), align="left", style=QUIET), Text())
            for part in parts:
                console.print(part)
    return "\n".join(line.rstrip() for line in held.get().splitlines()) + "\n"


def _formulas(found: Explanation, config: Config) -> Iterator[RenderableType]:
    grid = _grid("left", "left")
    for left, right, where, part in found.formulas:
        grid.add_row(Text(left, "bold"), Text(right if right.startswith("≥") else f"= {right}"))
        grid.add_row("", Padding(Text("; ".join([*([part] if part else []), *where]), QUIET), (0, 0, 0, 2)))
    grid.add_row("", Padding(Text(f"network {network(config)}", QUIET), (0, 0, 0, 2)))
    yield grid


def _sources(sources: list[Source]) -> Iterator[RenderableType]:
    for source in sources:
        yield Text.assemble((source.name, "bold"), (f"  {source.file}:{source.line}", QUIET))
        yield Padding(
            Syntax(
                source.text,
                "python",
                theme="ansi_dark",
                background_color="default",
                line_numbers=True,
                start_line=source.line,
                word_wrap=True,
            ),
            (0, 0, 1, 0),
        )


def _sites(found: Explanation) -> Iterator[RenderableType]:
    table = _table("", "site", "distribution", "batch", "event", "numbers", "plates", "seen", numbers=("numbers",))
    for site in found.sites:
        shapes = (_shape(site.batch), _shape(site.event), f"{site.numbers:,}")
        seen = "yes" if site.observed else "no"
        table.add_row(*map(Text, (site.program, site.name, site.distribution, *shapes, ", ".join(site.plates), seen)))
    yield table
    sizes = {name: size for site in found.sites for name, size in site.plates.items()}
    rows = "; ".join(f"{name}, {size} rows" for name, size in sizes.items())
    yield Text(f"\nA site scores batch × event numbers; the rows of a plate ({rows}) are independent.", QUIET)
    yield Text()
    counts = _grid("left", "right")
    for part in PARTS:
        counts.add_row(part, f"{found.parameters[part]:,}")
    counts.add_row(Text("parameters", "bold"), Text(f"{sum(found.parameters.values()):,}", "bold"))
    yield counts


def _check(found: Explanation) -> Iterator[RenderableType]:
    numbers = ("Pyro", "plain PyTorch", "difference")
    table = _table("", "nats per image", *numbers, "", numbers=numbers)
    for term in found.terms:
        table.add_row(*_row(term))
    table.add_section()
    table.add_row(*_row(found.total))
    table.add_row(*_row(found.elbo))
    if found.kls:
        table.add_section()
        for term in found.kls:
            table.add_row(*_row(term))
    yield table
    if found.missing:
        about = f"– no formula in plain PyTorch for {', '.join(found.missing)}: its class has no `log_density`"
        yield Text(f"{about}; Trace_ELBO is held against the sum by site", QUIET)
    about = f"{found.images} images, one code each, the same for both; float64; the difference is an image's largest"
    yield Text(about, QUIET)
    agree = "They agree, as far as both are there." if found.missing else "They agree."
    yield Text(agree if found.holds else "They do not agree.", GOOD if found.holds else BAD)
    if found.plain:
        yield Text("\nIn plain PyTorch that is, of each pixel or of each code:\n")
        yield from _sources(found.plain)


def _row(term: Term) -> tuple[Text, ...]:
    by_hand, difference = ("–" if term.by_hand is None else f"{term.by_hand:.6f}"), term.difference
    mark = ("", "") if difference is None else ("✓", GOOD) if term.holds else ("✗", BAD)
    told = "" if difference is None else f"{difference:.0e}" if difference else "0"
    style = "" if term.holds else BAD
    return Text(term.sign), Text(term.name), Text(f"{term.pyro:.6f}"), Text(by_hand), Text(told, style), Text(*mark)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "–"


def _grid(*justified: str) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in justified:
        grid.add_column(justify=justify)  # type: ignore[arg-type]
    return grid


def _table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=QUIET)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return table

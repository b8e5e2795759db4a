"""Print what the benchmark measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from ..console import Console
from ..terminal import say
from .measure import BASE


def show(results: Mapping[str, Any]) -> None:
    """Print the table of the rows, and a line for everything else that was measured."""
    _show_rows(results["rows"], results["work"]["images"])
    say(*_lines(results))


def _show_rows(rows: Sequence[Mapping[str, Any]], images: int) -> None:
    table = Table()
    for column in ("row", "s / epoch", "images / s", "ratio", "target", "loss"):
        table.add_column(column, justify="left" if column == "row" else "right")
    for row in rows:
        if "skipped" in row:
            table.add_row(row["row"], "skipped")
            say(f"{row['row']}: skipped, as {row['skipped']}")
            continue
        ratio = row.get("base_over_row")
        table.add_row(
            row["row"],
            f"{row['median']:.2f} ({min(row['seconds']):.2f}–{max(row['seconds']):.2f})",
            f"{images / row['median']:,.0f}",
            "" if ratio is None else f"{ratio:.2f}",
            _target(row),
            "" if row["loss"] is None else f"{row['loss']:.1f}",
        )
    Console().print(table)


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"ratio: what {BASE} takes of the row's time, the median over repetitions; target: what we aim at"
    for line in results.get("profile", []):
        yield f"{line['microseconds']:8.0f} µs  {line['operation'][:90]}"
    rates = [
        results["work"]["floating_point_operations"] / row["median"] / 1e9
        for row in results["rows"]
        if row["row"] == "floor"
    ]
    if rates:
        yield f"floor: nothing but the matrix products, {rates[0]:,.0f} GFLOP/s"
    scored = results["importance_sampling"]
    rate = f"{scored['rate'] / 1e9:,.0f} GFLOP/s, {scored['share']:.2f} of the floor's (target ≥ {scored['target']})"
    yield f"importance sampling, K = {scored['samples']:,}: {rate}"
    memory = results["peak_memory_of_training"]
    yield f"peak memory {memory['gigabytes']} GB: {memory['command']}"
    yield f"{results['hardware']}, {results['threads']} threads; torch {results['versions']['torch']}"


def _target(row: Mapping[str, Any]) -> str:
    ratio = row.get("base_over_row")
    if (most := row.get("target")) is not None:
        return f"{'' if ratio <= most else 'not '}≤ {most}"
    if (least := row.get("at_least")) is not None:
        return f"{'' if ratio >= least else 'not '}≥ {least}"
    return ""

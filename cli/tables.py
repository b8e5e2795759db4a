"""Tables of the numbers of many runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from pyrovae.config.settings import as_text

from .console import Console
from .terminal import say

WIDE = 200  # width in characters
MEANS = {
    "loss": "loss",
    "reconstruction": "reconstruction",
    "kl": "KL",
    "accuracy": "accuracy",
    "log_likelihood": "log p(x)",
    "active_units": "active units",
}


def show(rows: Sequence[Mapping[str, str]], numbers: Sequence[str] = ()) -> None:
    """Print one line for each row, with the columns of the first row; the columns `numbers` are flush right."""
    table = Table()
    for name in rows[0]:
        table.add_column(name, justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*(row.get(name, "") for name in rows[0]))
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDE)  # a file needs no line breaks
    console.print(table)


def show_means(rows: Sequence[Mapping[str, Any]], best: int | None) -> None:
    """Print means and standard deviations over the seeds, a row for each combination; mark the row `best`."""
    scores = [key for key in MEANS if any(key in row for row in rows)]
    lines = []
    for i, row in enumerate(rows):
        line = {name: as_text(value) for name, value in row["settings"].items()}
        line["seeds"] = str(len(row["runs"]))
        line |= {MEANS[key]: plus_minus(row.get(key)) for key in scores}
        lines.append(line | ({} if best is None else {"": "best" if i == best else ""}))
    estimate = next((row for row in rows if "samples" in row), None)
    about = f"; log p(x): K = {estimate['samples']:,}, {estimate['images']:,} images" if estimate else ""
    say(f"test set, nats per image: mean ± standard deviation over the seeds{about}")
    show(lines, ["seeds", *MEANS.values()])


def plus_minus(score: Mapping[str, Any] | None) -> str:
    """Write a score as `103.79 ± 0.21`, or as `103.79` if one value leaves no standard deviation."""
    if score is None:
        return "–"
    return f"{score['mean']:.2f}" + ("" if score["sd"] is None else f" ± {score['sd']:.2f}")

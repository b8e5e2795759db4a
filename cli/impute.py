"""pyrovae impute: fill in the missing values of a table, or of images."""

import io
from pathlib import Path
from typing import Any

import click

from pyrovae.errors import InputError

from .options import check_out, repeated_of, repeats, save_out
from .terminal import say
from .values import NAMED, SEED, Whole, examples


@click.command(
    "impute",
    epilog=examples("pyrovae impute run --out whole.csv", "pyrovae impute run csv:new.csv --draws 20 --out draws.npz"),
)
@click.argument("run", type=NAMED)
@click.argument("data", required=False)
@click.option("--samples", metavar="K", type=Whole(), default=1000, help="codes drawn for each row  [1000]")
@click.option("--draws", metavar="N", type=Whole(0), default=0, help="draws of each missing value  [0: its mean]")
@click.option("--seed", metavar="N", type=SEED, default=0, help="seed of the random numbers  [0]")
@click.option(
    "--out",
    metavar="FILE",
    type=NAMED,
    help="a .csv of a table, or a .npz of `mean`, `draws` and `missing`  [RUN/imputed.csv; of images .npz]",
)
@click.option("--force", is_flag=True, help="replace the file that --out names")
@repeats
def command(
    run: Path,
    data: str | None,
    samples: int,
    draws: int,
    seed: int,
    out: Path | None,
    force: bool,
    **repeated: str | bool | None,
) -> None:
    """Fill in missing values by RUN, a folder of `pyrovae train`, trained on data with such.

    The values are those of the run's own dataset, or of DATA, as csv:FILE, with the same columns.

    A value becomes its mean given what was seen in its row, or the most probable of its categories, by importance
    sampling from the guide. With --draws it is drawn N times from its distribution, for multiple imputation: the csv
    file then has N tables, one after another, numbered in a first column `draw`. Values that were seen stay as they
    are. Rows are in the order of the file; columns that the model is given come first.
    """
    check_out(out, (".csv", ".npz"), force)
    from pyrovae.commands.impute import imputed
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(repeated))
    table = len(opened.vae.shape) == 1
    if out is not None and out.suffix == ".csv" and not table:
        raise InputError(f"out: expected a file ending in .npz, as the model is one of images, got {out.name!r}")
    result = imputed(opened, data, samples, draws, seed)
    name = f"imputed.{'csv' if table else 'npz'}"
    content = _csv(result, opened) if (out or Path(name)).suffix == ".csv" else _npz(result)
    if out is None:
        out = opened.save_table(name, content)
    else:
        save_out(out, content)
    count, share = int(result.missing.sum()), result.missing.float().mean()
    say(
        f"{count:,} missing values ({share:.1%}) imputed; {result.effective_samples:,.0f} effective samples of"
        f" {samples:,} in the median",
        out,
    )


def _csv(result: Any, run: Any) -> bytes:
    from pyrovae.runs.as_csv import as_csv, cells

    given = {} if result.given is None else cells(result.given.numpy(), run.conditions)
    if not len(result.draws):
        return as_csv(result.mean.numpy(), run.columns, given, run.kinds).encode()
    draws, n = result.draws.shape[:2]
    numbers = [draw + 1 for draw in range(draws) for _ in range(n)]
    more = {"draw": numbers, **{name: values * draws for name, values in given.items()}}
    return as_csv(result.draws.flatten(0, 1).numpy(), run.columns, more, run.kinds).encode()


def _npz(result: Any) -> bytes:
    import numpy as np

    content = io.BytesIO()
    arrays = {name: getattr(result, name).numpy() for name in ("mean", "draws", "missing")}
    np.savez_compressed(content, **arrays)
    return content.getvalue()

"""pyrovae sample: draw images, or rows of a table, from a trained model."""

import io
import re
from pathlib import Path
from typing import Any

import click

from pyrovae.errors import InputError

from .options import check_out, repeated_of, repeats, save_out
from .terminal import say
from .values import NAMED, SEED, Whole, examples

SEPARATOR = re.compile(r",(?=[^,=]+=)")  # a comma before NAME=; others are part of a value


@click.command(
    "sample",
    epilog=examples(
        "pyrovae sample results/digits -n 20 --out digits.png",
        "pyrovae sample results/mnist-cvae -n 1000 --label 7 --out sevens.npz",
        "pyrovae sample results/table -n 100 --given age=40,sex=female --out rows.csv",
    ),
)
@click.argument("run", type=NAMED)
@click.option("-n", "n", metavar="N", type=Whole(), default=64, help="how many images, or rows  [64]")
@click.option("--label", metavar="NAME", help="draw images of this class, if the model knows labels  [all in turn]")
@click.option(
    "--given",
    metavar="NAME=VALUE,...",
    multiple=True,
    help="values of columns that the model is given  [those of the test rows in turn]",
)
@click.option("--seed", metavar="N", type=SEED, default=0, help="seed of the random numbers  [0]")
@click.option("--draw", is_flag=True, help="draw the pixels too, instead of showing their mean; rows are always drawn")
@click.option(
    "--out",
    metavar="FILE",
    type=NAMED,
    help="a .png, or a .npz of `images`; of rows a .csv, or a .npz of `rows` (and `given`)  [RUN/figures/sample.png, "
    "RUN/sample.csv]",
)
@click.option("--force", is_flag=True, help="replace the file that --out names")
@repeats
def command(
    run: Path,
    n: int,
    label: str | None,
    given: tuple[str, ...],
    seed: int,
    draw: bool,
    out: Path | None,
    force: bool,
    **repeated: str | bool | None,
) -> None:
    """Draw N images, or rows of a table, from the model that RUN holds, a folder of `pyrovae train`.

    A model that is given quadrants completes test images. One that is given columns of its table draws the others for
    the values that --given names, and for those of test rows in the columns that it does not name; the table has the
    columns that are given first.
    """
    check_out(out, (".png", ".npz", ".csv"), force)
    import numpy as np

    from pyrovae.figures.images import square_figure
    from pyrovae.figures.style import as_png
    from pyrovae.inference import seeded
    from pyrovae.runs.as_csv import as_csv, cells
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(repeated))
    table = len(opened.vae.shape) == 1
    if out is not None and out.suffix == (".png" if table else ".csv"):
        kinds, what = (".csv or .npz", "rows of a table") if table else (".png or .npz", "images")
        raise InputError(f"out: expected a file ending in {kinds}, as the model draws {what}, got {out.name!r}")
    y = _context(opened, n, label, given)
    with seeded(seed):
        x = opened.vae.generate(n, y, mean=not (draw or table))
    labels = {} if opened.vae.labels is None else {"labels": np.array(opened.classes)[y]}
    beside = cells(y.numpy(), opened.conditions) if opened.conditions else labels
    if table:
        rows = opened.pixels.to_own_units(x).numpy()
        if out is not None and out.suffix == ".npz":
            save_out(out, _npz(rows=rows, **labels, **({"given": y.numpy()} if opened.conditions else {})))
        else:
            content = as_csv(rows, opened.columns, beside, opened.kinds).encode()
            out = opened.save_table("sample.csv", content) if out is None else save_out(out, content)
    elif out is not None and out.suffix == ".npz":
        save_out(out, _npz(images=(opened.pixels.to_unit(x) * 255).round().byte().numpy(), **labels))
    else:
        picture = square_figure(opened.pixels.to_unit(x))
        out = opened.save_figure("sample", picture) if out is None else save_out(out, as_png(picture))
    say(out)


def _npz(**arrays: Any) -> bytes:
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _context(run: Any, n: int, label: str | None, given: tuple[str, ...]) -> Any:
    """Return the context of n images: the label or values asked for, all labels in turn, or those of test images."""
    import torch

    condition = run.config.condition
    if label is not None and run.vae.labels is None:
        raise InputError(f"label: expected a model that is given labels, got one with condition {condition!r}")
    if given and not run.conditions:
        raise InputError(f"given: expected a model that is given columns, got one with condition {condition!r}")
    if run.conditions:
        return _values(run, n, given)
    if run.vae.labels is not None:
        return torch.arange(n) % len(run.classes) if label is None else torch.full((n,), _index(label, run.classes))
    if condition == "none":
        return None
    rows = torch.arange(n) % len(run.data.test)
    return run.data.batch(run.data.test, rows).x


def _values(run: Any, n: int, given: tuple[str, ...]) -> Any:
    """Return the values (n, K) of columns that the model is given: those asked for, others of the test rows in turn."""
    import torch

    from pyrovae.errors import one_of

    kinds, values = run.conditions, {}
    for text in (part for each in given for part in SEPARATOR.split(each)):
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"given: expected NAME=VALUE,..., as {next(iter(kinds))}={_example(kinds)}, got {text!r}")
        name = one_of("given", name.strip(), kinds)
        if name in values:
            raise InputError(f"given: expected one value of {name}, got two")
        values[name] = kinds[name].number(value.strip(), f"given: {name}")
    if len(values) == len(kinds):
        return torch.tensor([[values[name] for name in kinds]]).repeat(n, 1)
    y = run.data.test.given[torch.arange(n) % len(run.data.test)]
    for column, name in enumerate(kinds):
        y[:, column] = values.get(name, y[:, column])
    return y


def _example(kinds: Any) -> str:
    kind = next(iter(kinds.values()))
    return kind.categories[0] if kind.categories else f"{kind.typical:.3g}"


def _index(label: str, classes: tuple[str, ...]) -> int:
    """Return the index of the class of that name; or of that number, if no class has a number for a name."""
    if label in classes:
        return classes.index(label)
    numbered = not any(name.lstrip("-").isdecimal() for name in classes)
    if numbered and label.isdecimal() and int(label) < len(classes):
        return int(label)
    either = f", or 0 to {len(classes) - 1}" if numbered else ""
    raise InputError(f"label: expected one of {', '.join(classes)}{either}, got {label!r}")

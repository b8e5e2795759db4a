"""pyrovae bench: time an epoch against rivals."""

import os
from collections.abc import Collection
from pathlib import Path

import click

from pyrovae.config.settings import Config
from pyrovae.errors import InputError, one_of

from ..options import check_out_folder
from ..terminal import say
from ..values import NAMED, Whole, examples


@click.command("bench", epilog=examples("pyrovae bench --dataset digits --rows pyro-resident,torch,pyrovae-compiled"))
@click.option("--rows", metavar="NAME,...", help="rows to time, separated by commas  [all]")
@click.option("--repetitions", metavar="N", type=Whole(), default=5, help="epochs to time of each row, in turn  [5]")
@click.option("--dataset", metavar="NAME", default="mnist", help="dataset whose training images make an epoch  [mnist]")
@click.option("--hidden", metavar="N", type=Whole(), default=400, help="units of the hidden layer  [400]")
@click.option("--latent-dim", metavar="N", type=Whole(), default=20, help="dimensions of the code  [20]")
@click.option("--batch-size", metavar="N", type=Whole(), default=128, help="images in a step  [128]")
@click.option("--particles", metavar="N", type=Whole(), default=1, help="codes of each image  [1]")
@click.option("--curves", is_flag=True, help="also time over batch size, width, latent dimension, particles")
@click.option("--profile", is_flag=True, help="also list where the time of a compiled step goes")
@click.option(
    "--beside", metavar="N", type=Whole(0, 1000), help="instead: time trainings beside 0 to N other busy processes"
)
@click.option("--accept", is_flag=True, help="instead: hold a GPU to its targets; exit code 1 if one is missed")
@click.option("--threads", metavar="N", type=Whole(), help="threads and processor cores to use  [all]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:1  [auto]")
@click.option("--out", metavar="DIR", type=NAMED, default=Path("results"), help="the folder for the files  [results]")
def command(
    rows: str | None,
    repetitions: int,
    dataset: str,
    curves: bool,
    profile: bool,
    beside: int | None,
    accept: bool,
    threads: int | None,
    device: str,
    out: Path,
    **work: int,
) -> None:
    """Time one epoch of the same VAE by pyrovae, Pyro, PyTorch and NumPyro, in turn, in one run.

    Prints a table, and writes DIR/benchmark-HARDWARE.json and .png: medians, ratios, losses, and the peak memory of
    `pyrovae train`. The row of NumPyro needs pip install 'pyrovae[bench]'. With --beside, times instead how trainings
    that choose their threads compare with one thread and all threads, and writes DIR/beside-HARDWARE.json. With
    --accept, holds a GPU to its targets within ten minutes, runs the tests that need one, and writes
    DIR/accept-HARDWARE.json.
    """
    if threads:  # set before anything starts threads of its own: JAX starts one for each core that it sees
        os.environ["OMP_NUM_THREADS"] = str(threads)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if accept:
        _accept(device, repetitions, out)
        return
    if beside is not None:
        _beside(beside, repetitions, out)
        return
    from pyrovae.data.loading import load
    from pyrovae.inference import choose_device

    from .rows import ROWS, Work

    names = _names(rows, ROWS)
    check_out_folder(out)
    images = load(Config(dataset=dataset)).train.images.to_dense().to(choose_device(device))
    if images.shape[1] != 1:
        raise InputError(f"dataset: expected grey images, got {images.shape[1]} channels in {dataset!r}")
    if work["batch_size"] > len(images):
        raise InputError(f"batch-size: expected at most the {len(images):,} images, got {work['batch_size']}")
    from .run import measure, save
    from .text import show

    timed = Work(images, **work)
    results = measure(timed, names, repetitions, dataset, curves, profile)
    show(results)
    say(*save(results, timed, out))


def _accept(device: str, repetitions: int, out: Path) -> None:
    """Exit with code 1 if a target is missed."""
    context = click.get_current_context()
    for option in ("rows", "dataset", "hidden", "latent_dim", "batch_size", "particles", "curves", "profile", "beside"):
        if context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"accept: expected without --{option.replace('_', '-')}, as the targets are of one task")
    check_out_folder(out)
    from pyrovae.inference import choose_device

    from .accept import accept, expect_cuda, measured

    expect_cuda(place := choose_device(device))
    if not accept(measured(place, repetitions), place, out):
        raise SystemExit(1)


def _beside(most: int, repetitions: int, out: Path) -> None:
    check_out_folder(out)
    from .beside import run
    from .machine import slug
    from .run import write

    results = run(most, repetitions)
    for path in write(out, f"beside-{slug(results['hardware'])}", results, {}):
        say(path)


def _names(rows: str | None, known: Collection[str]) -> list[str]:
    """Return the names in `rows`, or all names if it is None. Raises `InputError` for an unknown one."""
    chosen = list(known) if rows is None else [name.strip() for name in rows.split(",") if name.strip()]
    for name in chosen:
        one_of("rows", name, known)
    if not chosen:
        raise InputError(f"rows: expected some of {', '.join(known)}, got none")
    return list(dict.fromkeys(chosen))

"""pyrovae gradients: measure how noisy each objective's gradient is at the weights of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import repeated_of, repeats
from .terminal import say
from .values import NAMED, SEED, Whole, examples, whole

if TYPE_CHECKING:
    from pyrovae.commands.gradients import Row


@click.command("gradients", epilog=examples("pyrovae gradients results/digits --draws 1000"))
@click.argument("run", type=NAMED)
@click.option("--draws", metavar="N", type=Whole(2), default=200, help="draws of each gradient  [200]")
@click.option("--images", metavar="N", type=Whole(), default=128, help="the first N training images  [128]")
@click.option("--particles", metavar="K,K,...", default="8,64", help="particles of iwae and dreg  [8,64]")
@click.option("--seed", metavar="N", type=SEED, default=0, help="seed of the random numbers  [0]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:1  [auto]")
@repeats
def command(
    run: Path, draws: int, images: int, particles: str, seed: int, device: str, **repeated: str | bool | None
) -> None:
    """Measure the noise of the objectives' gradients at the weights of RUN, and write RUN/gradients.json.

    For the parameters of guide and model: the variance, summed over all, and the mean ratio of a gradient's size to its
    standard deviation, over draws of the code for one batch of training images. Losses are in nats per image.

    RUN is a folder of `pyrovae train`. Its objective does not matter: the gradients are taken at its weights.
    """
    counts = [whole("particles", text, 2) for text in particles.split(",")]
    from rich.progress import track

    from pyrovae.commands.gradients import GradientNoise
    from pyrovae.runs.run import Run

    from .console import Console

    noise = GradientNoise(Run(run, **repeated_of(repeated)), draws, images, counts, seed, device)
    rows = list(track(noise, "measuring", len(noise.cases), transient=True, console=Console()))
    path = noise.save()
    _show(rows)
    say(path)


def _show(rows: Sequence["Row"]) -> None:
    from rich.table import Table

    from .console import Console

    table = Table()
    columns = ["objective", "particles", "guide: variance", "signal to noise", "model: variance", "signal to noise"]
    for column in columns:
        name = column == "objective"
        table.add_column(column, justify="left" if name else "right", no_wrap=name)
    for row in rows:
        scores = [row["guide"]["variance"], row["guide"]["snr"], row["model"]["variance"], row["model"]["snr"]]
        texts = ["∞" if score is None else f"{score:.3g}" for score in scores]
        table.add_row(row["objective"], str(row["particles"]), *texts)
    Console().print(table)

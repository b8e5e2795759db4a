"""pyrovae gradients: how noisy each objective's gradient is at a run's weights."""

from pathlib import Path
from typing import Any

import click

from pyrovae.errors import InputError

from .options import repeated_of, repeats
from .values import NAMED, SEED, Whole, examples, whole

PLAIN, WEIGHED = ("elbo", "analytic", "stl"), ("iwae", "dreg")  # one particle each, and several


@click.command("gradients", epilog=examples("pyrovae gradients results/digits --draws 1000"))
@click.argument("run", type=NAMED)
@click.option("--draws", metavar="N", type=Whole(2), default=200, help="of each gradient  [200]")
@click.option("--images", metavar="N", type=Whole(), default=128, help="the first N training images  [128]")
@click.option("--particles", metavar="K,K,...", default="8,64", help=f"of {' and '.join(WEIGHED)}  [8,64]")
@click.option("--seed", metavar="N", type=SEED, default=0, help="of the random numbers  [0]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:1  [auto]")
@repeats
def command(run: Path, draws: int, images: int, particles: str, seed: int, device: str, **given: str) -> None:
    """Measure the noise of the objectives' gradients at the weights of RUN, and write RUN/gradients.json.

    For the parameters of guide and model: the variance, summed over all, and the mean ratio of a gradient's size to its
    standard deviation, over draws of the code for one batch of training images. Losses are in nats per image.

    RUN is a folder of `pyrovae train`, of any objective: its weights are where the gradients are taken.
    """
    counts = [whole("particles", text, 2) for text in particles.split(",")]
    from rich.progress import track

    from pyrovae.evaluation.elbo import arguments
    from pyrovae.inference import choose_device, seeded
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(given))
    vae, data = opened.vae.to(choose_device(device)), opened.data
    if not vae.has_kl:
        raise InputError("gradients: expected a posterior that is a density, to draw from, got a plain autoencoder")
    cases = [(name, 1) for name in PLAIN] + [(name, count) for name in WEIGHED for count in counts]
    rows = []
    for name, count in track(cases, "measuring", transient=True):
        with seeded(seed):
            args = arguments(vae, data.batch(data.train, slice(0, images)))
            rows.append({"objective": name, "particles": count, **_noise(vae, name, count, draws, args)})
    found = {"draws": draws, "images": len(args[0]), "seed": seed, "gradients": rows}
    _show(rows)
    click.echo(opened.save_evaluation(found, "gradients"))


def _noise(vae: Any, name: str, particles: int, draws: int, args: Any) -> dict[str, dict[str, float]]:
    from pyrovae.inference.gradient_noise import gradient_noise
    from pyrovae.inference.objectives import OBJECTIVES

    objective = OBJECTIVES[name](num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1)
    guide = [*vae.encoder.parameters(), *vae.posterior.parameters()]
    known = {id(parameter) for parameter in guide}
    model = [p for p in vae.parameters() if p.requires_grad and id(p) not in known]
    groups = {"guide": [p for p in guide if p.requires_grad], "model": model}
    noise = gradient_noise(objective, vae.model, vae.guide, groups, draws, *args)
    n = len(args[0])
    return {
        name: part | {"variance": part["variance"] / n**2, "squared_mean": part["squared_mean"] / n**2}
        for name, part in noise.items()
    }


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in (
        "objective",
        "particles",
        "guide: variance",
        "signal to noise",
        "model: variance",
        "signal to noise",
    ):
        table.add_column(column, justify="left" if column == "objective" else "right")
    for row in rows:
        cells = [f"{row[part][key]:.3g}" for part in ("guide", "model") for key in ("variance", "snr")]
        table.add_row(row["objective"], str(row["particles"]), *cells)
    Console().print(table)

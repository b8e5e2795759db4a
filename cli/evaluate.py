"""pyrovae evaluate: the log-likelihood of the test set."""

from pathlib import Path
from typing import Any

import click


@click.command("evaluate")
@click.argument("run", type=Path)
@click.option("--samples", metavar="K", type=click.IntRange(1), default=5000, help="of z for each image  [5000]")
@click.option("--images", metavar="N", type=click.IntRange(1), help="the first N test images  [all]")
@click.option("--seed", metavar="N", type=click.IntRange(0, 2**32 - 1), default=0, help="of the random numbers  [0]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:1  [auto]")
def command(run: Path, samples: int, images: int | None, seed: int, device: str) -> None:
    """Estimate log p(x) of the test set, or log p(x | y), by importance sampling from the guide of RUN.

    The estimate, its standard error over the images and its diagnostics go to RUN/evaluation.json.
    """
    from rich.progress import track

    from pyrovae.evaluation import IMAGES, log_likelihoods, summarise
    from pyrovae.inference import choose_device, seeded
    from pyrovae.runs import Run
    from pyrovae.summary import protocol

    opened = Run(run)
    vae, data = opened.vae.to(choose_device(device)), opened.data
    chosen = data.test[slice(0, images)]
    with seeded(seed):
        batches = log_likelihoods(vae, data, chosen, samples)
        done = list(track(batches, "evaluating", total=-(-len(chosen) // IMAGES), transient=True))
    found = summarise(done, samples)
    found |= protocol(opened.config, data, vae, -found["log_likelihood"]) | {"seed": seed}
    _show(found, opened.save_evaluation(found))


def _show(found: dict[str, Any], path: Path) -> None:
    what = "log p(x)" if found["condition"] == "none" else "log p(x | y)"
    click.echo(
        f"{what} = {found['log_likelihood']:.2f} ± {found['standard_error']:.2f} nats per image"
        f" (ELBO {found['elbo']:.2f}; K = {found['samples']:,}, {found['images']:,} test images)"
    )
    if "bits_per_dimension" in found:
        click.echo(f"{found['bits_per_dimension']:.3f} bits per dimension")
    click.echo(
        f"effective samples {found['effective_samples']:,.0f}, Pareto k {found['pareto_k']:.2f} (medians);"
        f" {found['unreliable_share']:.1%} of the images with k > 0.7"
    )
    if found["unreliable_share"] > 0.1:
        click.echo("warning: for many images the weights have too heavy a tail: more --samples, or a better posterior")
    click.echo(f"pixels {found['protocol']}" + (f": {found['note']}" if found["note"] else ""))
    click.echo(path)

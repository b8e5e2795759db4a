"""pyrovae evaluate: the log-likelihood of the test set."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from .options import repeated_of, repeats
from .processes import ended_by_sigterm
from .values import NAMED, SEED, Whole, examples

ANNEALED = 100  # images, at most


@click.command(
    "evaluate",
    epilog=examples("pyrovae evaluate results/digits", "pyrovae evaluate results/digits --samples 100 --images 1000"),
)
@click.argument("run", type=NAMED)
@click.option("--samples", metavar="K", type=Whole(), default=5000, help="of z for each image  [5000]")
@click.option("--images", metavar="N", type=Whole(), help="the first N test images  [all]")
@click.option("--seed", metavar="N", type=SEED, default=0, help="of the random numbers  [0]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:1  [auto]")
@click.option("--latents/--no-latents", default=True, help="report on the latent space, too  [yes]")
@click.option("--ais", is_flag=True, help=f"check by annealed importance sampling, on {ANNEALED} images")
@click.option("--ais-steps", metavar="T", type=Whole(), default=200, help="from guide to model  [200]")
@click.option("--resume", is_flag=True, help="the same command goes on, after it was ended")
@repeats
def command(
    run: Path,
    samples: int,
    images: int | None,
    seed: int,
    device: str,
    latents: bool,
    ais: bool,
    ais_steps: int,
    resume: bool,
    **given: str,
) -> None:
    """Estimate log p(x) of the test set, or log p(x | y), by importance sampling from the guide of RUN.

    The estimate, its standard error over the images, its diagnostics and a report on the latent space (active units, KL
    of each dimension, mutual information, what can be read from the codes) go to RUN/evaluation.json; with --ais the
    annealed estimate, too, beside the importance-sampled one of the same images. RUN/report.html is written again.

    RUN is a folder of `pyrovae train`. Twice the samples take twice the time, and come closer to log p(x) from below.
    Ended, or killed, it goes on by --resume: the number is the same.
    """
    from pyrovae.evaluation.importance import reliable_k
    from pyrovae.inference import choose_device
    from pyrovae.pages.report import save
    from pyrovae.runs.estimates import Estimates, Settings
    from pyrovae.runs.files import only_writer
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(given))
    with only_writer(opened.path), ended_by_sigterm():  # no training goes on from these weights meanwhile
        opened.vae.to(choose_device(device))
        chosen = opened.data.test[slice(0, images)]
        asked: Settings = {"samples": samples, "images": len(chosen), "seed": seed, "device": str(opened.vae.device)}
        estimates = Estimates(opened.path, asked)
        try:
            with estimates.kept():
                found = _found(opened, chosen, estimates, resume, latents, ais_steps if ais else None)
        except KeyboardInterrupt:
            if not estimates.done:
                raise
            done = f"{estimates.done:,} of {len(chosen):,} images"
            click.echo(f"pyrovae: interrupted after {done}; the same command with --resume goes on", err=True)
            raise SystemExit(130) from None
        path = opened.save_evaluation(found)
        estimates.remove()
        _show(found, path, reliable_k(samples))
        if opened.finished and (opened.path / "report.html").exists():
            save(opened)  # it says what evaluation.json does


def _found(run: Any, chosen: Any, estimates: Any, resume: bool, latents: bool, ais_steps: int | None) -> dict[str, Any]:
    """What goes to evaluation.json."""
    from pyrovae.evaluation.annealing import annealed_log_likelihoods, compare
    from pyrovae.evaluation.importance import log_likelihoods, summarise
    from pyrovae.evaluation.latents import report
    from pyrovae.inference import seeded
    from pyrovae.runs.summary import measured_on

    vae, data, samples, seed = run.vae, run.data, estimates.settings["samples"], estimates.settings["seed"]
    with seeded(seed):
        if resume:
            estimates.resume()
        rest = log_likelihoods(vae, data, chosen, samples, estimates.done)
        for batch in _tracked("evaluating", len(chosen), rest, estimates.done):
            estimates.add(batch)
    found: dict[str, Any] = {**summarise(estimates.batches, samples)}
    if ais_steps:
        first = chosen[slice(0, ANNEALED)]
        with seeded(seed):
            batches = annealed_log_likelihoods(vae, data, first, steps=ais_steps)
            annealed = list(_tracked("annealing", len(first), batches))
        found["annealed"] = compare(estimates.batches, annealed, ais_steps)
    if latents:
        with seeded(seed):
            found["latents"] = report(vae, data)
    return found | measured_on(run.trusted, data, vae, -found["log_likelihood"]) | {"seed": seed}


def _tracked(what: str, images: int, batches: Iterable[dict[str, Any]], done: int = 0) -> Iterator[dict[str, Any]]:
    """The batches as they come; meanwhile, a bar of how many images are done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=images, completed=done)
        for batch in batches:
            bar.advance(task, len(batch["log_likelihood"]))
            yield batch


def _show(found: dict[str, Any], path: Path, limit: float) -> None:
    what = "log p(x)" if found["condition"] == "none" else "log p(x | y)"
    error = "" if found["standard_error"] is None else f" ± {found['standard_error']:.2f}"
    click.echo(
        f"{what} = {found['log_likelihood']:.2f}{error} nats per image"
        f" (ELBO {found['elbo']:.2f}; K = {found['samples']:,}, {found['images']:,} test images)"
    )
    if "bits_per_dimension" in found:
        click.echo(f"{found['bits_per_dimension']:.3f} bits per dimension")
    if found["pareto_k"] is None:
        click.echo("too few samples to tell whether the estimate can be trusted: expected --samples 46 or more")
    else:
        click.echo(
            f"effective samples {found['effective_samples']:,.0f}, Pareto k {found['pareto_k']:.2f} (medians);"
            f" {found['unreliable_share']:.1%} of the images above {limit:.2f}, which takes more samples"
        )
        if found["unreliable_share"] > 0.1:
            click.echo("warning: for many images the weights' tail is too heavy: more --samples, or a better posterior")
    for line in _annealed_lines(found.get("annealed", {})):
        click.echo(line)
    for line in _latent_lines(found.get("latents", {})):
        click.echo(line)
    click.echo(f"pixels {found['protocol']}" + (f": {found['note']}" if found["note"] else ""))
    click.echo(path)


def _annealed_lines(annealed: dict[str, Any]) -> Iterator[str]:
    if not annealed:
        return
    difference, error = annealed["difference"], annealed["standard_error"]
    yield (
        f"on the first {annealed['images']:,}: annealed {annealed['log_likelihood']:.2f}, importance-sampled"
        f" {annealed['importance_sampled']:.2f}; {difference:+.2f}{'' if error is None else f' ± {error:.2f}'} nats"
        f" ({annealed['chains']} chains, {annealed['steps']} steps, acceptance {annealed['acceptance']:.2f})"
    )
    if error is not None and abs(difference) > max(2 * error, 0.1):  # both are lower bounds
        if difference > 0:
            yield "warning: the importance-sampled number is too low there: more --samples, or a better posterior"
        else:
            yield "warning: the annealed number is too low there: more --ais-steps"


def _latent_lines(latents: dict[str, Any]) -> Iterator[str]:
    if "active_units" in latents:
        yield f"{latents['active_units']} of {latents['latent_dim']} latent dimensions are active"
    if "mutual_information" in latents:
        shares = f"mutual information {latents['mutual_information']:.2f}, marginal KL {latents['marginal_kl']:.2f}"
        yield f"{shares} nats (of the test images, whose index holds {math.log(latents['images']):.2f})"
    if "knn_accuracy" in latents:
        knn, probe = latents["knn_accuracy"], latents["probe_accuracy"]
        yield f"the label can be read from the code: {knn:.1%} by five neighbours, {probe:.1%} by a linear probe"

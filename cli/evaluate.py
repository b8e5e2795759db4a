"""pyrovae evaluate: estimate the log-likelihood of the test set."""

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .interrupts import answered
from .options import repeated_of, repeats
from .terminal import say
from .values import NAMED, SEED, Whole, examples

if TYPE_CHECKING:
    from pyrovae.runs.evaluating import Evaluating
    from pyrovae.runs.run import Run
    from pyrovae.runs.schema import Latents


@click.command(
    "evaluate",
    epilog=examples("pyrovae evaluate results/digits", "pyrovae evaluate results/digits --samples 100 --images 1000"),
)
@click.argument("run", type=NAMED)
@click.option("--samples", metavar="K", type=Whole(), default=5000, help="codes drawn for each image  [5000]")
@click.option("--images", metavar="N", type=Whole(), help="the first N test images  [all]")
@click.option("--seed", metavar="N", type=SEED, default=0, help="seed of the random numbers  [0]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:1  [auto]")
@click.option("--latents/--no-latents", default=True, help="report on the latent space, too  [yes]")
@click.option("--ais", is_flag=True, help="check by annealing there and back, on 100 images")
@click.option("--ais-steps", metavar="T", type=Whole(), default=200, help="steps from guide to model  [200]")
@click.option("--resume", is_flag=True, help="go on with an evaluation by the same command that was ended")
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
    **repeated: str | bool | None,
) -> None:
    """Estimate log p(x) of the test set, or log p(x | y), by importance sampling.

    The codes are drawn from the guide of RUN, from the same guide at twice its scale, and from the prior, so that no
    mode near one of them is missed; from the guide alone where a latent is summed over.

    RUN/evaluation.json gets the estimate, its standard errors over the images and of the samples, its diagnostics and
    a report on the latent space (active units, KL of each dimension, mutual information, how well labels can be read
    from the codes); with --ais also the annealed estimate, beside the importance-sampled one of the same images, and
    bounds of log p(x) from both sides, of images drawn from the model. RUN/estimates.safetensors gets the estimates of
    each image. RUN/report.html is written again.

    RUN is a folder of `pyrovae train`. Twice the samples take twice the time, and come closer to log p(x) from below.
    If the command is stopped or killed, repeat it with --resume: it goes on, and ends with the same number.
    """
    from pyrovae.runs.evaluating import Evaluating
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(repeated))
    evaluation = Evaluating(opened, samples, images, seed, latents, ais, ais_steps, resume, device)
    try:
        with answered(lambda: _interrupted(evaluation)):
            _show_progress(opened, evaluation)
    except KeyboardInterrupt:
        say(f"pyrovae: {_interrupted(evaluation)}", err=True)
        raise SystemExit(130) from None
    say(*_lines(evaluation.result), opened.path / "evaluation.json")


def _interrupted(evaluation: "Evaluating") -> str:
    done = f" after {evaluation.done:,} of {evaluation.images:,} images; the same command with --resume goes on"
    return f"interrupted{done if evaluation.resumable else ''}"


def _show_progress(run: "Run", evaluation: "Evaluating") -> None:
    """Do the evaluation; in a terminal, show a bar of the images done."""
    from rich.progress import Progress

    from pyrovae.commands.evaluate import evaluating

    from .console import Console

    console = Console()
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, closing(evaluating(run, evaluation)) as steps:
        tasks = {"evaluating": bar.add_task("evaluating", total=None)}
        for step in steps:
            if step.doing not in tasks:
                tasks[step.doing] = bar.add_task(step.doing)
            bar.update(tasks[step.doing], completed=step.done, total=step.total)


def _lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    from pyrovae.evaluation.importance import are_heavy, reliable_k

    what = "log p(x)" if evaluation["condition"] == "none" else "log p(x | y)"
    error = "" if evaluation["standard_error"] is None else f" ± {evaluation['standard_error']:.2f} (images)"
    heavy = are_heavy(evaluation["unreliable_share"])
    if evaluation["monte_carlo_error"] is not None:
        error += f" ± {evaluation['monte_carlo_error']:.3f} (samples{', at least' if heavy else ''})"
    noun = evaluation["unit"].split()[-1]
    yield (
        f"{what} = {evaluation['log_likelihood']:.2f}{error} {evaluation['unit']}"
        f" (ELBO {evaluation['elbo']:.2f}; K = {evaluation['samples']:,}, {evaluation['images']:,} test {noun}s)"
    )
    if "bits_per_dimension" in evaluation:
        yield f"{evaluation['bits_per_dimension']:.3f} bits per dimension"
    if evaluation["pareto_k"] is None:
        yield "too few samples to tell whether the estimate can be trusted: expected --samples 46 or more"
    else:
        yield (
            f"effective samples {evaluation['effective_samples']:,.0f}, Pareto k {evaluation['pareto_k']:.2f}"
            f" (medians); {evaluation['unreliable_share']:.1%} of the {noun}s above"
            f" {reliable_k(evaluation['samples']):.2f}, which takes more samples"
        )
        if heavy:
            yield (
                f"warning: for many {noun}s the weights' tail is too heavy: more --samples, or a better posterior;"
                " --ais checks the estimate"
            )
    yield from _annealed_lines(evaluation.get("annealed", {}))
    yield from _simulated_lines(evaluation.get("simulated", {}))
    yield from _latent_lines(evaluation.get("latents", {}))
    yield f"pixels {evaluation['protocol']}" + (f": {evaluation['note']}" if evaluation["note"] else "")


def _annealed_lines(annealed: Mapping[str, Any]) -> Iterator[str]:
    if not annealed:
        return
    difference, error = annealed["difference"], annealed["standard_error"]
    yield (
        f"on the first {annealed['images']:,}: annealed {annealed['log_likelihood']:.2f}, importance-sampled"
        f" {annealed['importance_sampled']:.2f}; {difference:+.2f}{'' if error is None else f' ± {error:.2f}'} nats"
        f" ({annealed['chains']} chains, {annealed['steps']} steps, acceptance {annealed['acceptance']:.2f})"
    )
    if error is not None and abs(difference) > max(2 * error, 0.1):  # of two lower bounds, the lower one is worse
        if difference > 0:
            yield "warning: the importance-sampled number is too low there: more --samples, or a better posterior"
        else:
            yield "warning: the annealed number is too low there: more --ais-steps"


def _simulated_lines(simulated: Mapping[str, Any]) -> Iterator[str]:
    if not simulated:
        return
    lower, upper, error = (simulated[name] for name in ("lower_bound", "upper_bound", "standard_error"))
    what = f"on {simulated['images']:,} drawn from the model: annealed {lower:.2f}"
    if upper is None:
        yield f"{what}; an upper bound overflows"
    else:
        gap = f"{simulated['gap']:+.2f}{'' if error is None else f' ± {error:.2f}'}"
        yield f"{what}, upper bound {upper:.2f}; {gap} nats, the most that annealing misses there"


def _latent_lines(latents: "Latents") -> Iterator[str]:
    from pyrovae.runs.card import is_saturated, marginal_kl, mutual_information

    if "active_units" in latents:
        yield f"{latents['active_units']} of {latents['latent_dim']} latent dimensions are active"
    for name, layer in latents.get("layers", {}).items():
        active = f", {layer['active_units']} of them active" if "active_units" in layer else ""
        yield f"{name}: {layer['latent_dim']} dimensions{active}; KL {layer['kl']:.2f} nats"
    if "kl" in latents:
        yield (
            f"mutual information {mutual_information(latents)}, marginal KL {marginal_kl(latents)} nats: bounds of the"
            f" two parts of the KL, {latents['kl']:.2f}"
        )
        if is_saturated(latents):
            most = f"{math.log(latents['images']):.2f}"
            yield f"no lower bound of the mutual information from {latents['images']:,} images is above {most}"
    if "knn_accuracy" in latents:
        knn, probe = latents["knn_accuracy"], latents["probe_accuracy"]
        yield f"the label can be read from the code: {knn:.1%} by five neighbours, {probe:.1%} by a linear probe"
    if "nmi" in latents:
        yield (
            f"clusters agree with the labels: accuracy {latents['accuracy']:.1%} (best matching),"
            f" NMI {latents['nmi']:.3f}, ARI {latents['ari']:.3f}"
        )
    elif "accuracy" in latents:
        yield f"{latents['accuracy']:.1%} of the labels of the test set are inferred rightly"

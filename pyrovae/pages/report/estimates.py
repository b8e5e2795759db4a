"""The tables of a report about what `pyrovae evaluate` computed: log p(x), and how the codes use the latent space."""

import math
from collections.abc import Callable, Mapping, Sequence

from pyrovae.display import number
from pyrovae.evaluation.importance import are_heavy, reliable_k
from pyrovae.pages.report.tables import NONE, TableRow, likelihood_name, one_line, part, percent, yes_or_no
from pyrovae.runs.card import estimate, marginal_kl, mutual_information
from pyrovae.runs.run import Run
from pyrovae.runs.schema import Latents

Content = Mapping[str, object]  # of evaluation.json, or a part of it
RowOf = tuple[str, Callable[[Content], str], str]  # a row's name, a function that writes a cell, what the number is


def evaluation(runs: Sequence[Run]) -> list[TableRow]:
    """Return rows for the estimate of log p(x) and how far it can be trusted; none if no run was evaluated."""
    evaluations = [run.evaluation for run in runs]
    if not any(evaluations):
        return []
    estimates = [NONE if content is None else estimate(content) for content in evaluations]
    about = "importance sampling; a lower bound in expectation"
    contents: list[Content] = [content or {} for content in evaluations]
    annealed = [part(content, "annealed") for content in contents]
    rows = [
        TableRow(likelihood_name(runs), estimates, about),
        *_rows(EVALUATION, contents),
        *_rows(ANNEALED, annealed),
        *_rows(SIMULATED, [part(content, "simulated") for content in contents]),
        *_rows(MEASURED_ON, contents),
    ]
    return [row for row in rows if not row.empty]


def _rows(rows: Sequence[RowOf], contents: Sequence[Content]) -> list[TableRow]:
    return [
        TableRow(name, [cell(content) if content else NONE for content in contents], about)
        for name, cell, about in rows
    ]


def _number(name: str, digits: int = 2) -> Callable[[Content], str]:
    return lambda content: number(content.get(name), digits)


def _gap(evaluation: Content) -> str:
    likelihood, elbo = evaluation.get("log_likelihood"), evaluation.get("elbo")
    if not (isinstance(likelihood, int | float) and isinstance(elbo, int | float)):
        return NONE
    return NONE if NONE in (number(likelihood), number(elbo)) else number(likelihood - elbo)


def _unreliable(evaluation: Content) -> str:
    share, samples = percent(evaluation.get("unreliable_share")), evaluation["samples"]
    return f"{share} above {reliable_k(samples):.2f}" if share != NONE and isinstance(samples, int) else share


def _monte_carlo_error(evaluation: Content) -> str:
    error, share = number(evaluation.get("monte_carlo_error"), 3), evaluation.get("unreliable_share")
    return f"at least {error}" if error != NONE and isinstance(share, float) and are_heavy(share) else error


def _with_error(name: str) -> Callable[[Content], str]:
    def write(content: Content) -> str:
        error = number(content.get("standard_error"))
        return number(content.get(name)) + ("" if error == NONE else f" ± {error}")

    return write


def _annealed_effort(annealed: Content) -> str:
    return ", ".join(number(annealed.get(name), 0) for name in ("images", "chains", "steps"))


EVALUATION: list[RowOf] = [
    ("Monte Carlo error", _monte_carlo_error, "of log p(x), by other samples; ± is by other images"),
    ("ELBO", _number("elbo"), "of the same samples"),
    ("gap", _gap, "log p(x) − ELBO: how far the guide is from the true posterior"),
    ("bits per dimension", _number("bits_per_dimension", 3), "−log p(x) in bits per pixel and channel"),
    ("samples K", _number("samples", 0), "codes drawn for each image"),
    ("test images", _number("images", 0), ""),
    (
        "effective samples",
        _number("effective_samples", 0),
        "equally weighted samples worth as much as the K, median over the images",
    ),
    ("Pareto k̂", _number("pareto_k"), "tail index of the importance weights, median over the images"),
    ("images above the limit", _unreliable, "whose k̂ is too large for K samples to be trusted"),
]
ANNEALED: list[RowOf] = [
    ("annealed", _number("log_likelihood"), "annealed importance sampling"),
    ("annealed, difference", _with_error("difference"), "from importance sampling on the same images"),
    ("annealed, effort", _annealed_effort, "images, chains, steps"),
]
SIMULATED: list[RowOf] = [
    ("simulated, annealed", _number("lower_bound"), "of images drawn from the model; a lower bound in expectation"),
    ("simulated, upper bound", _number("upper_bound"), "by annealing back from the code that drew an image"),
    (
        "simulated, gap",
        _with_error("gap"),
        "the most that annealing misses there, on average",
    ),
]
MEASURED_ON: list[RowOf] = [
    ("pixels", lambda content: one_line(content.get("protocol")), "the pixel protocol"),
    ("a density", lambda content: yes_or_no(content.get("density")), "whether p(x | z) is a density of such pixels"),
    ("seed", _number("seed", 0), "of the samples"),
]


def latents(runs: Sequence[Run]) -> list[TableRow]:
    """Return rows that say how the codes of the test images use the latent space."""
    evaluations = [run.evaluation for run in runs]
    reports: list[Latents] = [content.get("latents", {}) if content else {} for content in evaluations]

    def row(name: str, key: str, form: Callable[[object], str], about: str) -> TableRow:
        return TableRow(name, [form(report.get(key)) for report in reports], about)

    rows = [
        TableRow(
            "active units",
            [_active_units(run, report) for run, report in zip(runs, reports)],
            "dimensions whose posterior mean has a variance above 0.01 over the images",
        ),
        TableRow("KL", [_mean_kl(report) for report in reports], "of the code of an image from the prior, nats"),
        TableRow(
            "mutual information",
            [mutual_information(report) for report in reports],
            "between image and code, nats; a part of the KL, of which bounds are known. The lower one is at most log N",
        ),
        TableRow("log N", [_most_information(report) for report in reports], "for N test images, nats"),
        TableRow(
            "marginal KL",
            [marginal_kl(report) for report in reports],
            "of all codes together from the prior, nats; the rest of the KL, of which bounds are known, too",
        ),
        row(
            "label from five neighbours",
            "knn_accuracy",
            percent,
            "accuracy of the majority of the nearest codes",
        ),
        row("label by a linear probe", "probe_accuracy", percent, "accuracy of logistic regression on the code"),
        row(
            "label inferred",
            "accuracy",
            percent,
            "share of the images whose class the program infers; of clusters, after the best matching with classes",
        ),
        row("NMI", "nmi", number, "normalised mutual information of clusters and classes, from 0 to 1"),
        row("ARI", "ari", number, "adjusted Rand index of clusters and classes: 0 by chance, at most 1"),
    ]
    return [row for row in rows if not row.empty]


def _active_units(run: Run, report: Latents) -> str:
    """Return the active units that `pyrovae evaluate` counted, or else those of the epoch whose weights are kept."""
    units = number(report.get("active_units", run.summary["best"].get("active_units")), 0)
    return units if units == NONE else f"{units} of {number(run.config.code_dim, 0)}"


def _mean_kl(report: Latents) -> str:
    """Return the mean KL; earlier versions of 0.1 wrote two numbers that add up to it."""
    if "mutual_information" in report and "marginal_kl" in report:
        return number(report["mutual_information"] + report["marginal_kl"])
    return number(report.get("kl"))


def _most_information(report: Latents) -> str:
    """Return log N where there is a lower bound of the mutual information."""
    count = report.get("images", 0)
    return NONE if count <= 0 or mutual_information(report) == NONE else number(math.log(count))

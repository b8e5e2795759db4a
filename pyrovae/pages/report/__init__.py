"""Writes one HTML page about a finished run, or about several side by side. The page loads nothing from elsewhere.

A run folder may come from anyone, so the template escapes every text from it, and the page shows only those of its
figures that are PNG files inside the folder. No date is on the page: the same runs give the same page, byte for byte.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from pyrovae import __version__
from pyrovae.pages.report import words
from pyrovae.pages.report.curves import curves_of
from pyrovae.pages.report.estimates import evaluation, latents
from pyrovae.pages.report.pictures import figures_by_name
from pyrovae.pages.report.tables import headline, origin, settings
from pyrovae.runs.card import in_one_line
from pyrovae.runs.comparison import estimate_differences, loss_differences
from pyrovae.runs.run import Run


def page(runs: Sequence[Run]) -> str:
    """Return the HTML page about one run or several, sorted by their test loss if their losses compare."""
    differing = loss_differences(runs)
    if not differing:
        runs = sorted(runs, key=lambda run: run.summary["best"]["test"]["loss"])
    names = names_of(runs)
    differ, changed, rest = settings(runs)
    return _template().render(
        runs=[{"name": name, "model": in_one_line(run.config)} for name, run in zip(names, runs)],
        differing=differing,
        estimates_differ=estimate_differences(runs),
        warnings=words.warnings(runs, names),
        headline=headline(runs, ranked=not differing),
        curves=curves_of(runs),
        figures=figures_by_name(runs),
        evaluation=evaluation(runs),
        latents=latents(runs),
        differ=differ,
        changed=changed,
        rest=rest,
        origin=origin(runs),
        commands=words.commands(runs, names),
        captions=words.CAPTIONS,
        titles=words.TITLES,
        keys={name: [words.key_of(run) for run in runs] for name in words.WITH_KEY},
        version=__version__,
    )


def save(run: Run) -> Path:
    """Write the page of a run into its folder."""
    return run.save_page("report", page([run]))


def names_of(runs: Sequence[Run]) -> list[str]:
    """Return the runs' folder names, or their paths if two folders have the same name."""
    names = [run.path.resolve().name for run in runs]
    return names if len({*names}) == len(names) else [str(run.path) for run in runs]


def _template() -> Template:
    folder = resources.files("pyrovae.pages.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = (folder / "style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)  # not escaped: it is part of this package
    return environment.from_string((folder / "page.html").read_text(encoding="utf-8"))

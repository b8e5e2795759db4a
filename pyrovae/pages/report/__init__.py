"""A page of HTML about one finished run, or about several side by side: all in one file, which asks for no other.

A run folder may come from anybody: whatever it says is escaped by the template, and of its figures only PNG files that
lie in it are shown. The same runs make the same page, to the last byte: no date is in it.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from pyrovae import __version__
from pyrovae.config.settings import in_one_line
from pyrovae.pages.report import words
from pyrovae.pages.report.curves import curves_of
from pyrovae.pages.report.pictures import pictures_of
from pyrovae.pages.report.tables import evaluation, headline, latents, origin, settings
from pyrovae.runs.comparison import estimate_differences, loss_differences
from pyrovae.runs.run import Run


def page(runs: Sequence[Run]) -> str:
    """The page, of one run or several. Runs whose numbers compare are in the order of their test loss."""
    differing = loss_differences(runs)
    if not differing:
        runs = sorted(runs, key=lambda run: run.summary["best"]["test"]["loss"])
    differ, changed, rest = settings(runs)
    return _template().render(
        runs=[{"name": name, "model": in_one_line(run.config)} for name, run in zip(names_of(runs), runs)],
        differing=differing,
        estimates_differ=estimate_differences(runs),
        warnings=words.warnings(runs, names_of(runs)),
        headline=headline(runs, ranked=not differing),
        curves=curves_of(runs),
        pictures=pictures_of(runs),
        evaluation=evaluation(runs),
        latents=latents(runs),
        differ=differ,
        changed=changed,
        rest=rest,
        origin=origin(runs),
        commands=words.commands(runs, names_of(runs)),
        captions=words.CAPTIONS,
        version=__version__,
    )


def save(run: Run) -> Path:
    """Write the page of a run into its folder."""
    return run.save_page("report", page([run]))


def names_of(runs: Sequence[Run]) -> list[str]:
    """What runs are called: after their folders, or by their paths where folders are called the same."""
    names = [run.path.resolve().name for run in runs]
    return names if len({*names}) == len(names) else [str(run.path) for run in runs]


def _template() -> Template:
    folder = resources.files("pyrovae.pages.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["style"] = Markup((folder / "style.css").read_text())  # our own
    return environment.from_string((folder / "page.html").read_text())

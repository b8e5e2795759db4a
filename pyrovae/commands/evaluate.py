"""Evaluate a run, and write again the page that shows the numbers."""

from collections.abc import Generator

from pyrovae.pages.report import save
from pyrovae.runs.evaluating import Evaluating, Step
from pyrovae.runs.files import only_writer
from pyrovae.runs.run import Run


def evaluating(run: Run, evaluation: Evaluating) -> Generator[Step, None, None]:
    """Evaluate `run` step by step; then write report.html again if it exists, because it shows evaluation.json."""
    with only_writer(run.path):
        yield from evaluation
        if run.finished and (run.path / "report.html").exists():
            save(run)

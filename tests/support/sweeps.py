"""Sweeps without processes of their own, and files of runs that are changed by hand."""

import json
import warnings
from types import SimpleNamespace

from pyrovae import InputError
from pyrovae.commands import worker

TINY = "--hidden 8 --device cpu --no-figures"


class InThisProcess:
    """Stands in for a worker process: does the same work here, without waiting for an interpreter to start."""

    def __init__(self, task, threads):
        self.failure = None
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "epoch .* the posterior collapses")  # after one epoch
                worker.work(**task)
        except (InputError, FloatingPointError) as error:
            self.failure = str(error)
        self.process = SimpleNamespace(poll=lambda: 0)

    def outcome(self):
        return self.failure, []


def edited(path, **changes):
    """Change the content of a JSON file, or make the file."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(content | changes), encoding="utf-8")

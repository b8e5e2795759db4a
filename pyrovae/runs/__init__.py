"""Run folders on disk. `Run` is imported on first use, so that `pyrovae --help` is fast."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name != "Run":
        raise AttributeError(f"module 'pyrovae.runs' has no attribute {name!r}")
    return import_module("pyrovae.runs.run").Run

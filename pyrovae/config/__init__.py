"""The settings of a run, presets and sweeps. Names are imported on first use, so that `pyrovae --help` is fast."""

from importlib import import_module
from typing import Any

_NAMES = {"Config": "settings", "Grid": "grid", "combinations": "grid", "preset": "presets"}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'pyrovae.config' has no attribute {name!r}")
    return getattr(import_module(f"pyrovae.config.{_NAMES[name]}"), name)

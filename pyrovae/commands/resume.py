"""Open the run that a training goes on with, and check that it is the one that is meant."""

from collections.abc import Mapping
from pathlib import Path

from pyrovae.config.settings import CLASSES, PLACES, Config, as_text
from pyrovae.errors import InputError
from pyrovae.runs.run import Run
from pyrovae.runs.trust import check_places

MAY_CHANGE = {"epochs", "device", "threads", "lr", "grad_clip", "on_nan", "save_minutes"}


def run_to_resume(path: Path, same: Config | None, settings: Mapping[str, object], trust: bool) -> tuple[Run, Config]:
    """Open the run at `path`; return it, and the config with which it goes on: its own, with `settings` changed.

    `settings` may repeat any setting that the run has, as the same command does with --resume behind it, but change
    only those of `MAY_CHANGE`. The settings that the config `same` was made with, where `settings` do not override
    them, may differ in those as well, and change nothing. Classes and paths of the user's own are given again by
    `settings`. Raises `InputError` for another run.
    """
    again = {name: value for name, value in settings.items() if name in (*CLASSES, *PLACES) and name not in MAY_CHANGE}
    run = Run(path, trust, **again)
    config = run.trusted.replace(**settings)
    begun_with = [(config, {*settings})]
    if same is not None and same.model_fields_set:
        begun_with.append((same.replace(**settings), same.model_fields_set))  # as the call that began the run did
    for given, names in begun_with:
        for name in sorted(names - again.keys() - MAY_CHANGE - {"data_dir"}):
            _expect_same(run, name, given)
    if not trust:
        check_places(config, settings.keys(), run.path)
    return run, config


def _expect_same(run: Run, name: str, given: Config) -> None:
    before, now = getattr(run.config, name), getattr(given, name)
    if before != now:
        may = ", ".join(sorted(MAY_CHANGE))
        raise InputError(
            f"resume: expected {name} {as_text(before)}, as {run.path} has it, got {as_text(now)};"
            f" a run that is resumed may change {may}"
        )

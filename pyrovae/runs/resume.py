"""Compare the settings with which a training is resumed with those that it had before."""

from pathlib import Path

from pyrovae.config.settings import Config
from pyrovae.errors import InputError
from pyrovae.runs.schema import Setting

CHANGE_NUMBERS = ("lr", "grad_clip", "on_nan")  # those settings that --resume may change and that change the numbers


def changes(before: Config, after: Config) -> dict[str, list[Setting]]:
    """Return the settings of `CHANGE_NUMBERS` that differ, as {name: [before, after]}."""
    pairs = {name: [getattr(before, name), getattr(after, name)] for name in CHANGE_NUMBERS}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def expect_epochs(done: int, before: Config, after: Config, where: Path) -> None:
    """Raise `InputError` if `after` has fewer epochs than are `done`, or changes the epochs of a schedule."""
    if after.epochs < done:
        raise InputError(f"resume: expected at least the {done} epochs of {where}, got {after.epochs}")
    if after.schedule != "constant" and after.epochs != before.epochs:
        raise InputError(
            f"resume: expected the {before.epochs} epochs over which schedule {after.schedule!r} runs,"
            f" got {after.epochs}"
        )

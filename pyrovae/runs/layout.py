"""Name the files that pyrovae writes into a run folder, and make a folder with a config for a new run."""

from pathlib import Path

from pyrovae.config.settings import Config
from pyrovae.errors import InputError
from pyrovae.figures import FIGURES
from pyrovae.runs.files import LOCK, cannot_write, expect_own, expect_own_folder, only_writer, write_whole
from pyrovae.runs.reading import read, read_config
from pyrovae.runs.trust import SIGNATURE, sign

OF_TRAINING = ("config.toml", "metrics.jsonl", "model.safetensors", "checkpoint.pt", "progress.safetensors")
# These files describe the final weights, and are deleted when the training is resumed.
OF_WEIGHTS = (
    "summary.json",
    "evaluation.json",
    "estimates.safetensors",
    "evaluation.pt",
    "explore.html",
    "report.html",
)
FILES = (*OF_TRAINING, *OF_WEIGHTS, SIGNATURE)
FOLDERS = ("figures", "tensorboard")
EVENTS = "tensorboard/events.out.tfevents.*"


def make_folder(path: Path, config: Config, force: bool) -> None:
    """Make the folder of a new run and write its config. With `force`, delete the files of the run that is there.

    Raises `InputError` if such files exist and `force` is not set, if they are no run of pyrovae, or if the folder
    cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"out: expected a folder at {path}, got a file")
    expect_own_files(path)
    if (path / "config.toml").exists() and not force:
        raise InputError(f"out: {path} already holds a run; expected --resume, --force or another --out")
    existing = _written_in(path)
    if existing and not force:
        raise InputError(f"out: {path} already holds {existing[0]}; expected another --out")
    if existing:
        _expect_run(path, existing[0])
    with only_writer(path):
        try:
            for name in existing:
                if name != "config.toml":  # it stays to the end: a kill leaves what can still be replaced
                    (path / name).unlink()
            write_whole(path / "config.toml", config.to_toml())
            sign(path)
        except OSError as error:
            raise cannot_write("out", path, error) from None


def _expect_run(path: Path, existing: str) -> None:
    """Raise `InputError` unless the config in a folder is one of pyrovae's: no other program's files are deleted."""
    if not (path / "config.toml").exists():
        raise InputError(f"out: expected a run to replace at {path}, got {existing} without a config.toml")
    try:
        read(path, "config.toml", read_config)
    except InputError as error:
        raise InputError(
            f"out: expected a run of pyrovae to replace at {path}, got another config.toml: {error}"
        ) from None


def expect_own_files(path: Path) -> None:
    """Raise `InputError` if a file of the run at `path` is something else, such as a link or a pipe."""
    for name in (*FILES, LOCK):
        expect_own(path, name)
    for name in FOLDERS:
        expect_own_folder(path, name)


def _written_in(path: Path) -> list[str]:
    """List the files in a folder that are named as pyrovae names the files of a run."""
    names = [*FILES, "figures/sample.png", *(f"figures/{name}.png" for name in FIGURES)]
    names += [str(events.relative_to(path)) for events in sorted(path.glob(EVENTS))]
    return [name for name in names if (path / name).exists()]


def what_is(path: Path) -> str:
    """Say what is at a path that should be a run folder, for an error message."""
    if not path.exists():
        return "nothing"
    return "a folder without one" if path.is_dir() else "a file"

"""Choose the folder of a run that has a name but no path: results/NAME, or results/NAME-2, ... if that exists."""

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from pyrovae.errors import expect_text, whole_from_environment
from pyrovae.runs.files import cannot_write

RESULTS = Path("results")


def name_after(dataset: str) -> str:
    """Name a run after its dataset: `digits`, or the stem of the path in `npz:data/photos.npz`."""
    kind, _, path = dataset.partition(":")
    return re.sub(r"[^\w.-]+", "-", Path(path).stem or kind)


def unused(name: str) -> Iterator[Path]:
    """Yield the paths of this name at which nothing exists, in order: another process may take the first one."""
    return (path for path in _numbered(name) if not path.exists())


def newest(name: str) -> Path | None:
    """Return the run of this name with the highest number that has a checkpoint; None if there is none."""
    runs = []
    for path in _numbered(name):
        if not path.exists():
            break
        if (path / "checkpoint.pt").exists():
            runs.append(path)
    return runs[-1] if runs else None


def new_folder(name: str) -> Path | Iterator[Path]:
    """Return the paths among which `claimed` chooses; under `torchrun` a single one, on which all processes agree."""
    expect_text("name", name)
    return unused(name) if whole_from_environment("WORLD_SIZE", 1, default=1) == 1 else next(unused(name))


def claimed(paths: Path | Iterator[Path]) -> tuple[Path, bool]:
    """Make a folder at the first of `paths` that no other process has taken; a single path is not made.

    Returns the path, and whether it was made.
    """
    return (paths, False) if isinstance(paths, Path) else (next(filter(_make, paths)), True)


def _make(path: Path) -> bool:
    """Make this folder; False if another process was faster."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise cannot_write("out", path, error) from None
    return True


def _numbered(name: str) -> Iterator[Path]:
    yield RESULTS / name
    yield from (RESULTS / f"{name}-{number}" for number in count(2))

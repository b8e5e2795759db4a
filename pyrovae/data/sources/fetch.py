"""Downloads that are whole or not there at all, however many processes want them and whenever one is killed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ARCHIVES = ("*.gz", "*.zip")
UNFINISHED = ".download-"


def fetched(name: str, root: Path, places: set[Path], read: Callable[[Path, bool], Any]) -> Any:
    """The data set that `read(folder, download)` reads, downloaded into `root` unless another process does so.

    One process at a time downloads a set, those that wait find it there. Files come into a folder of their own first,
    and from there into place, each at once, so that none is ever seen in part. `places` are folders in `root` whose
    archives serve in place of a download.
    """
    new = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f".{name}.lock"):
            with contextlib.suppress(Exception):  # still missing
                return read(root, False)
            for left in root.glob(f"{UNFINISHED}{name}-*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f"{UNFINISHED}{name}-", dir=root) as folder:
                _bring_archives(root, Path(folder), places)
                read(Path(folder), True)
                _move(Path(folder), root)
            return read(root, False)
    except BaseException:
        for made in new:
            with contextlib.suppress(OSError):  # not empty
                made.rmdir()
        raise


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While no other process is in here. The lock's file goes with the lock: who waits for it makes another one."""
    from filelock import FileLock

    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _bring_archives(root: Path, folder: Path, places: set[Path]) -> None:
    """Copies, since a damaged one is written over."""
    for place in places:
        for archive in (found for pattern in ARCHIVES for found in (root / place).glob(pattern) if found.is_file()):
            (folder / place).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, folder / place / archive.name)


def _move(source: Path, target: Path) -> None:
    """Folders first, as torchvision takes some sets for whole by the archive beside them."""
    for path in sorted(source.iterdir(), key=lambda path: (not path.is_dir(), path.name)):
        if path.is_dir() and (target / path.name).is_dir():
            _move(path, target / path.name)
        else:
            os.replace(path, target / path.name)

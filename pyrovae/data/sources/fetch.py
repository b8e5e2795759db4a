"""Downloads datasets so that no process ever sees a part of one, even if several want it or one is killed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")  # a dataset of torchvision
ARCHIVES = ("*.gz", "*.zip")
UNFINISHED = ".download-"


def read_or_download(name: str, root: Path, places: set[Path], read: Callable[[Path, bool], T]) -> T:
    """Return the dataset that `read(folder, download)` reads, after downloading it into `root` if it is not there.

    One process at a time downloads a set; others wait, and then read it. Files are downloaded into a folder of their
    own and moved into place from there, so that none is ever seen in part. `places` are folders in `root`; archives in
    them are used in place of a download.
    """
    new = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f".{name}.lock"):
            with contextlib.suppress(Exception):  # still missing: no other process has downloaded it
                return read(root, False)
            for leftover in root.glob(f"{UNFINISHED}{name}-*"):  # left by a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f"{UNFINISHED}{name}-", dir=root) as folder:
                _copy_archives(root, Path(folder), places)
                read(Path(folder), True)
                _move(Path(folder), root)
            return read(root, False)
    except BaseException:
        for folder_made in new:
            with contextlib.suppress(OSError):  # the folder is not empty
                folder_made.rmdir()
        raise


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process has the lock, and keep it inside the `with` block.

    The file of the lock is deleted afterwards; a process that waits makes a new one.
    """
    from filelock import FileLock

    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _copy_archives(root: Path, folder: Path, places: set[Path]) -> None:
    """Copy archives, rather than move them, because a download overwrites a damaged one."""
    for place in places:
        for archive in (path for pattern in ARCHIVES for path in (root / place).glob(pattern) if path.is_file()):
            (folder / place).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, folder / place / archive.name)


def _move(source: Path, target: Path) -> None:
    """Move files into place, folders first: torchvision takes some sets for whole if their archive is there."""
    for path in sorted(source.iterdir(), key=lambda path: (not path.is_dir(), path.name)):
        if path.is_dir() and (target / path.name).is_dir():
            _move(path, target / path.name)
        else:
            os.replace(path, target / path.name)

"""Files that are whole or not there, and folders with one writer."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyrovae.errors import InputError

LOCK = ".lock"


def path_of(what: str, name: Path | str) -> Path:
    """The path of this name; `InputError` for one that no file can have (Python takes an empty text for a dot)."""
    try:
        if not str(name) or "\0" in str(name):
            raise InputError(f"{what}: expected a path, got {str(name)!r}")
        Path(name).exists()
    except OSError as error:  # a name that is too long
        raise InputError(f"{what}: expected a path, got: {error.strerror}") from None
    return Path(name)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all: when this returns, its new content is on the disk, and until then the old."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)  # what a kill left there
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, on the disk when this returns. A kill or a full disk may leave a part of it."""
    with path.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def as_json(content: Any) -> str:
    """The content of a JSON file."""
    return json.dumps(content, indent=2) + "\n"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Inside, this process alone writes to the folder, which is made if need be. Another one raises `InputError`.

    The lock is the operating system's: it ends with its process, however that ends.
    """
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise InputError(f"out: expected a folder at {folder}, got a file")
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0, is_singleton=True)  # within a process it may be taken again
        lock.acquire()
    except Timeout:
        raise InputError(f"run: expected {folder} to itself, got one that another process is at work on") from None
    except OSError as error:
        raise InputError(f"out: expected a folder that can be written at {folder}, got: {error.strerror}") from None
    try:
        for torn in folder.glob(".*.part") if lock.lock_counter == 1 else ():
            torn.unlink()  # by a kill
        yield
    finally:
        if lock.lock_counter == 1:
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _sync_folder(folder: Path) -> None:
    """Make a renaming last; not every system lets a folder be opened for that."""
    try:
        file = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(file)
    finally:
        os.close(file)

"""Write files whole or not at all, and lock a folder for one writer."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyrovae.errors import InputError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"


def path_of(what: str, name: Path | str) -> Path:
    """Return the path; raise `InputError` for names that no file can have, and for "", which Python takes for "."."""
    try:
        if not str(name) or "\0" in str(name):
            raise InputError(f"{what}: expected a path, got {str(name)!r}")
        Path(name).exists()
    except OSError as error:  # the name is too long
        raise InputError(f"{what}: expected a path, got: {error.strerror}") from None
    return Path(name)


def write_whole(path: Path, content: bytes | str) -> None:
    """Replace the content of a file in one step; a kill leaves all of the old content or all of the new.

    When this returns, the new content is on disk.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)  # left by a killed process, or a link made by somebody else
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append a line to a file; it is on disk when this returns. A kill or a full disk may leave a part of the line."""
    with path.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def as_json(content: object) -> str:
    """Return the content of a JSON file."""
    return json.dumps(content, indent=2) + "\n"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make the folder if it does not exist, and lock it, so that other processes do not write to it meanwhile.

    Raises `InputError` if another process has locked it. The operating system holds the lock and releases it when the
    process ends, even if it is killed.
    """
    made = not folder.exists()
    lock = _acquire(folder)
    try:
        if lock.lock_counter == 1:
            for partial in folder.glob(".*.part"):  # left by a killed process
                partial.unlink()
        yield
    finally:
        if lock.lock_counter == 1:
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _acquire(folder: Path) -> "BaseFileLock":
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise InputError(f"out: expected a folder at {folder}, got a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0, is_singleton=True)  # the same process may lock it again
        lock.acquire()
    except Timeout:
        raise InputError(f"run: expected {folder} to itself, got one that another process is at work on") from None
    except OSError as error:
        raise InputError(f"out: expected a folder that can be written at {folder}, got: {error.strerror}") from None
    return lock


def _sync_folder(folder: Path) -> None:
    """Write a rename to disk, on systems on which a folder can be opened for that."""
    try:
        file = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(file)
    finally:
        os.close(file)

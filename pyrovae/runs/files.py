"""Write files whole or not at all, and lock a folder for one writer."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyrovae.errors import InputError, expect_text

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"
PART = ".pyrovae-part-"  # how the names of temporary files begin; machine, process and a random number follow
ATTEMPTS = 100  # to lock a folder that other processes make and remove meanwhile
A_DAY = 24 * 60 * 60  # seconds
MOST_BYTES = {".toml": 2**14, ".json": 2**24, ".jsonl": 2**28, ".png": 2**25, ".signature": 2**10}  # by suffix
MOST_OTHERS = 2**36  # tensors and pages; whether tensors fit in memory is checked when they are read
KINDS = {
    stat.S_ISLNK: "a link",
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def path_of(what: str, name: Path | str) -> Path:
    """Return the path; raise `InputError` for names that no file can have, and for "", which Python takes for ".".

    Names that are no text, such as those of old archives in Latin-1, are refused too: pages and figures show them.
    """
    try:
        if not str(name) or "\0" in str(name):
            raise InputError(f"{what}: expected a path, got {str(name)!r}")
        expect_text(what, str(name))
        Path(name).exists()
        expect_text(what, os.path.basename(os.path.realpath(name)))
    except OSError as error:  # the name is too long
        raise InputError(f"{what}: expected a path, got: {error.strerror}") from None
    return Path(name)


def expect_own(folder: Path, name: str) -> Path:
    """Return `folder / name` if nothing is there, or a regular file of a size that pyrovae may have written.

    All files of a run are opened through this door, because anyone may have made the folder. It raises `InputError` for
    a link, which may lead anywhere; for a pipe or a device, from which one could read for ever; for a folder; and for a
    file that is too large.
    """
    path = folder / name
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except OSError as error:
        raise InputError(f"run: expected a file {name} in {folder}, got: {error.strerror}") from None
    most = MOST_BYTES.get(path.suffix or name, MOST_OTHERS)
    kind = next((kind for is_kind, kind in KINDS.items() if is_kind(status.st_mode)), None)
    if kind is not None:
        raise InputError(f"run: expected a file {name} in {folder} itself, got {kind}")
    if status.st_size > most:
        size = f"{status.st_size:,} bytes, more than the {most:,} that it may have"
        raise InputError(f"run: expected {name} of a run in {folder}, got {size}")
    return path


def expect_own_folder(folder: Path, name: str) -> None:
    """Raise `InputError` if `folder / name` is there but is no folder, or a link to one."""
    path = folder / name
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(
            f"run: expected a folder {name} in {folder} itself, got {'a link' if path.is_symlink() else 'a file'}"
        )


class NoRoom(OSError):
    """Raised if a file cannot be written although its folder is right, for instance on a full disk."""


def cannot_write(what: str, path: Path, error: OSError) -> Exception:
    """Return the error to raise for a file or folder that could not be written; files that are there are whole.

    A full disk is no bad input: for that it is `NoRoom`, else `InputError`.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return NoRoom(f"expected room to write {path}, got: {error.strerror}")
    return InputError(f"{what}: expected a place that can be written at {path}, got: {error.strerror or error}")


def write_whole(path: Path, content: bytes | str) -> None:
    """Replace the content of a file in one step; a kill leaves all of the old content or all of the new.

    When this returns, the new content is on disk. Several processes may write the same file at once: each writes a
    temporary file of its own, and the last one to finish gives the file its content.
    """
    temporary = path.with_name(f"{PART}{HOST}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_stale(folder: Path) -> None:
    """Delete temporary files that `write_whole` left in a run folder because its process was killed.

    That is: the process ran on this machine and has ended, or the file is a day old.
    """
    for temporary in (*folder.glob(f"{PART}*"), *folder.glob(f"figures/{PART}*")):
        host, _, owner = temporary.name.removeprefix(PART).partition("-")
        with contextlib.suppress(OSError):  # it may have gone meanwhile, or be a folder that somebody else made
            aged = time.time() - temporary.lstat().st_mtime > A_DAY
            if aged or (host == HOST and not _runs(owner.partition("-")[0])):
                temporary.unlink()


def _runs(number: str) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    return True


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
def only_writer(folder: Path, made: bool = False) -> Iterator[None]:
    """Make the folder if it does not exist, and lock it, so that other processes do not write to it meanwhile.

    If it was `made` here, or by the caller just before, and is still empty at the end, it is removed.

    Raises `InputError` if another process has locked it. The operating system holds the lock and releases it when the
    process ends, even if it is killed. The lock file stays, because a process that waits for it would otherwise lock a
    file that is no longer there, beside one that locks a new one.
    """
    made = made or not folder.exists()
    lock = _acquire(folder)
    try:
        if lock.lock_counter == 1:
            remove_stale(folder)
        yield
    finally:
        if made and lock.lock_counter == 1:
            with contextlib.suppress(OSError):  # another process has removed it, or has made its own lock file in it
                _remove_if_empty(folder)
        lock.release()


def _remove_if_empty(folder: Path) -> None:
    if [path.name for path in folder.iterdir()] == [LOCK]:
        (folder / LOCK).unlink()
        folder.rmdir()


def _acquire(folder: Path) -> "BaseFileLock":
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise InputError(f"out: expected a folder at {folder}, got a file")
    path = folder / LOCK
    lock = FileLock(path, timeout=0, is_singleton=True)  # the same process may lock it again
    try:
        for attempt in range(ATTEMPTS):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if not expect_own(folder, LOCK).exists():
                    path.touch()
                number = path.stat().st_ino
                lock.acquire()
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_ino == number:
                        return lock
                lock.release()  # another process has removed the folder meanwhile, and with it the file that is locked
            except (FileNotFoundError, FileExistsError):  # it did so between two of these lines
                if attempt + 1 == ATTEMPTS:
                    raise
        raise Timeout(str(path))
    except Timeout:
        raise InputError(f"run: expected {folder} to itself, got one that another process is at work on") from None
    except OSError as error:
        raise cannot_write("out", folder, error) from None


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

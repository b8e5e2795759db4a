"""How a training prints and ends if `torchrun` started it as several processes."""

import os
import shlex
import signal
import threading
from pathlib import Path
from typing import NoReturn

from pyrovae.errors import InputError, whole_from_environment

from .terminal import say

_ending = threading.Lock()  # acquired by the thread that ends this process, so that only one reason is printed


def processes() -> int:
    """Return the number of processes of this training. Raises `InputError` if WORLD_SIZE is no number of them."""
    return whole_from_environment("WORLD_SIZE", 1, default=1)


def rank() -> int:
    """Return the number of this process among those that `torchrun` started; 0 if it is alone."""
    several = processes()
    return whole_from_environment("RANK", 0, several - 1) if several > 1 else 0


def check_environment() -> None:
    """Raise `InputError` if the environment says that there are other processes, but not where they meet."""
    if processes() > 1:
        rank()
        if not os.environ.get("MASTER_ADDR"):
            raise InputError("MASTER_ADDR: expected the machine of the first process, as torchrun sets it, got nothing")
        whole_from_environment("MASTER_PORT", 1, 65535)


def is_first() -> bool:
    """Whether this process prints: it is alone, or the first of those that `torchrun` started."""
    try:
        return rank() == 0
    except InputError:
        return True  # nobody can know which of them is the first


def is_told(fault: str) -> bool:
    """Tell the other processes of a training that this one has failed; False if the first of them cannot be reached."""
    try:
        if processes() == 1:
            return True
        check_environment()
        from pyrovae.inference.meeting import Lost, meeting  # imports torch
    except InputError:
        return False
    try:
        meeting().fail(fault)
    except (InputError, Lost):
        return False
    return True


def resume_command(path: Path) -> str:
    """Write the command that goes on with the run at `path`."""
    several = processes()
    start = "pyrovae" if several == 1 else f"torchrun --nproc-per-node={several} -m pyrovae"
    logged = " --tensorboard" if (path / "tensorboard").is_dir() else ""
    return f"{start} train --resume --out {shlex.quote(str(path))}{logged}"


def ending(path: Path | None, reason: str) -> str:
    """Write why a training ends and, if a run has begun at `path`, the command that goes on with it."""
    begun = path is not None and (path / "config.toml").exists()
    return f"{reason}; go on with: {resume_command(path)}" if path and begun else reason


def end(path: Path | None, reason: str, code: int) -> NoReturn:
    """End this process with the line that `ending` writes.

    If it is one of several processes it ends at once, without waiting for the others, which may never answer.
    """
    _ending.acquire()
    if is_first():
        say(f"pyrovae: {ending(path, reason)}", err=True)
    if processes() > 1:
        os._exit(code)
    _ending.release()
    raise SystemExit(code)


def end_with_the_others(path: Path | None) -> None:
    """From now on, print a line when `torchrun` ends this process because another one has failed.

    This works even while the main thread waits for that process inside a C function.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the thread below reads the signal's number from the pipe

    def listen() -> None:
        while os.read(read, 1)[0] != signal.SIGTERM:
            pass
        end(path, "ended by SIGTERM, as torchrun does when another process of a training has failed", 1)

    threading.Thread(target=listen, daemon=True).start()

"""How a training prints and ends if `torchrun` started it as several processes."""

import os
import shlex
import signal
import threading
from pathlib import Path
from typing import NoReturn

from .terminal import say

PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))
_ending = threading.Lock()  # acquired by the thread that ends this process, so that only one reason is printed


def is_first() -> bool:
    """Whether this process prints: it is alone, or the first of those that `torchrun` started."""
    return int(os.environ.get("RANK", "0")) == 0


def resume_command(path: Path) -> str:
    """Write the command that goes on with the run at `path`."""
    start = "pyrovae" if PROCESSES == 1 else f"torchrun --nproc-per-node={PROCESSES} -m pyrovae"
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
    if PROCESSES > 1:
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

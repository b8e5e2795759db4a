"""A training of several processes, started by `torchrun`: which one speaks, and what its last word is."""

import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))
_ending = threading.Lock()  # taken by what ends this process, so that one line says why


def is_first() -> bool:
    """Whether this process speaks: alone, or as the first of those that `torchrun` started."""
    return int(os.environ.get("RANK", "0")) == 0


def resume_command(path: Path) -> str:
    start = "pyrovae" if PROCESSES == 1 else f"torchrun --nproc-per-node={PROCESSES} -m pyrovae"
    logged = " --tensorboard" if (path / "tensorboard").is_dir() else ""
    return f"{start} train --resume --out {shlex.quote(str(path))}{logged}"


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Inside, SIGTERM ends the work as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end(path: Path | None, reason: str, code: int) -> NoReturn:
    """End this process with one line that says how to go on, if there is a run to go on with.

    If it has others, end at once, as they may never answer.
    """
    _ending.acquire()
    if is_first():
        begun = path if path is not None and (path / "config.toml").exists() else None
        click.echo(f"pyrovae: {reason}" + (f"; go on with: {resume_command(begun)}" if begun else ""), err=True)
    if PROCESSES > 1:
        os._exit(code)
    _ending.release()
    raise SystemExit(code)


def end_with_the_others(path: Path | None) -> None:
    """When `torchrun` ends this process, as another one has failed, say so: also while it waits for that one."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGTERM, lambda *_: None)  # which the thread hears of, wherever the main one is

    def listen() -> None:
        while os.read(read, 1)[0] != signal.SIGTERM:
            pass
        end(path, "ended by SIGTERM, as torchrun does when another process of a training has failed", 1)

    threading.Thread(target=listen, daemon=True).start()

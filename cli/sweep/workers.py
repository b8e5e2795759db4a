"""Runs in processes of their own, so many at a time; all end when the sweep ends."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from .worker import GRACE


class Workers:
    """`with Workers(tasks, jobs) as workers: while workers.busy: ended = workers.step()`, for tasks by any key.

    Leaving the block, by an error or Ctrl-C too, ends the processes that still run.
    """

    def __init__(self, tasks: Mapping[Any, dict[str, Any]], jobs: int) -> None:
        self.waiting = dict(tasks)
        self.running: dict[Any, Worker] = {}
        self.jobs = min(jobs, len(tasks))
        self.threads = max(1, cores() // max(1, self.jobs))

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: Any) -> None:
        for worker in self.running.values():
            worker.let_go()
        deadline = time.monotonic() + 2 * GRACE
        for worker in self.running.values():
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.errors.close()

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.running)

    def step(self) -> dict[Any, tuple[str | None, list[str]]]:
        """Start what there is room for; of the tasks that have ended since: None, or why they failed; and warnings."""
        while self.waiting and len(self.running) < self.jobs:
            name = next(iter(self.waiting))
            self.running[name] = Worker(self.waiting.pop(name), self.threads if self.jobs > 1 else None)
        ended = [name for name, worker in self.running.items() if worker.process.poll() is not None]
        return {name: self.running.pop(name).last_words() for name in ended}


class Worker:
    """One process with one task. It has its own session, so that Ctrl-C reaches the sweep alone, which then ends it."""

    def __init__(self, task: dict[str, Any], threads: int | None) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        threads_told = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pyrovae.cli.sweep.worker", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            start_new_session=True,
            env=threads_told | os.environ,
        )

    def let_go(self) -> None:
        """Close its input, at whose end it ends."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def last_words(self) -> tuple[str | None, list[str]]:
        """Why it failed, which is the last line it wrote, as errors end; and its lines of warning."""
        self.let_go()
        with self.errors:
            self.errors.seek(0)
            lines = self.errors.read().decode(errors="replace").strip().splitlines()
        warnings, code = [line for line in lines if line.startswith("warning: ")], self.process.returncode
        if code == 0:
            return None, warnings
        return f"ended by signal {-code}" if code < 0 else (lines or [f"exit code {code}"])[-1], warnings


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

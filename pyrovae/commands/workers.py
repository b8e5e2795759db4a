"""Start the tasks of a sweep as processes of their own, a few at a time; all end when the sweep ends."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Self, TypedDict

from pyrovae.commands.worker import GRACE

Names = tuple[str, ...]  # the names of a task's runs


class Task(TypedDict):
    """The arguments of `worker.work`, as the sweep sends them to a process."""

    paths: list[str]
    repeated: list[dict[str, object]]
    where: dict[str, object]
    samples: int | None
    figures: bool


class Workers:
    """`with Workers(tasks, jobs) as workers: while workers.busy: ended = workers.step()`.

    Leaving the block, by an error or Ctrl-C too, ends the processes that still run.
    """

    def __init__(self, tasks: Mapping[Names, Task], jobs: int) -> None:
        self.waiting = dict(tasks)
        self.running: dict[Names, Worker] = {}
        self.jobs = min(jobs, len(tasks))
        self.threads = max(1, cores() // max(1, self.jobs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.running.values():
            worker.close_input()
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

    def step(self) -> dict[Names, tuple[str | None, list[str]]]:
        """Start as many tasks as may run; return those that have ended, each with its failure or None, and warnings."""
        while self.waiting and len(self.running) < self.jobs:
            names = next(iter(self.waiting))
            self.running[names] = Worker(self.waiting.pop(names), self.threads if self.jobs > 1 else None)
        ended = [names for names, worker in self.running.items() if worker.process.poll() is not None]
        return {names: self.running.pop(names).outcome() for names in ended}


class Worker:
    """One process with one task. It has its own session, so that Ctrl-C reaches the sweep alone, which then ends it."""

    def __init__(self, task: Task, threads: int | None) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        limit = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pyrovae.commands.worker", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            start_new_session=True,
            env=limit | os.environ,  # the user's own OMP_NUM_THREADS overrides it
        )

    def close_input(self) -> None:
        """Close the pipe to the process, which then ends."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def outcome(self) -> tuple[str | None, list[str]]:
        """Return the last line of the process's errors, or None if it succeeded, and its lines of warning."""
        self.close_input()
        with self.errors:
            self.errors.seek(0)
            lines = self.errors.read().decode(errors="replace").strip().splitlines()
        warnings, code = [line for line in lines if line.startswith("warning: ")], self.process.returncode
        if code == 0:
            return None, warnings
        return f"ended by signal {-code}" if code < 0 else (lines or [f"exit code {code}"])[-1], warnings


def cores() -> int:
    """Count the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

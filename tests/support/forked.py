"""Runs `pyrovae` in processes forked from one that has imported everything, as importing takes five seconds."""

import contextlib
import multiprocessing
import os
import shlex
import signal
import sys
import time

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "pyrovae.cli.train",
        "pyrovae.commands.train",
        "pyrovae.commands.evaluate",
        "pyrovae.commands.gradients",
        "pyrovae.figures",
        "pyrovae.pages.explorer",
        "pyrovae.pages.report",
        "torchvision.datasets",
    ]
)


class Command:
    """A running `pyrovae LINE`, with the methods of `subprocess.Popen` that the tests need.

    The process runs the code `patch` before the command.
    """

    def __init__(self, line, cwd, patch=""):
        self.paths = [cwd / f".{name}-{time.monotonic_ns()}" for name in ("out", "error")]
        self.process = FORKS.Process(target=_run, args=(line, cwd, patch, self.paths))
        self.process.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.join()

    @property
    def returncode(self):
        return self.process.exitcode

    poll = returncode.fget

    @property
    def stdout(self):
        """Yield the lines that the process prints, as soon as each is complete."""
        seen = 0
        while True:
            ended = self.poll() is not None
            lines = (
                self.paths[0].read_text(encoding="utf-8").splitlines(keepends=True) if self.paths[0].exists() else []
            )
            whole = [line for line in lines if line.endswith("\n")]
            yield from whole[seen:]
            seen = len(whole)
            if ended:
                return
            time.sleep(0.02)

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError):  # it has just ended; `Popen` ignores that, too
            os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()

    def communicate(self, timeout=None):
        self.process.join(timeout)
        assert self.poll() is not None, f"no end within {timeout} s"
        # A process that was killed at once has made no files.
        texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in self.paths]
        for path in self.paths:
            path.unlink(missing_ok=True)
        return texts


class Training(Command):
    """A running `pyrovae train`; it draws figures only with `figures=True`."""

    def __init__(self, arguments, cwd, patch="", figures=False):
        super().__init__(f"train {'' if figures else '--no-figures '}{arguments}", cwd, patch)


def _run(line, cwd, patch, paths):
    os.chdir(cwd)
    for number, path in enumerate(paths, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    streams = {"mode": "w", "buffering": 1, "encoding": "utf-8", "closefd": False}
    sys.stdout, sys.stderr = (open(number, **streams) for number in (1, 2))  # noqa: SIM115
    sys.argv = ["pyrovae", *shlex.split(line)]
    # A job in the background inherits an ignored SIGINT, and so does a process that forks.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    from pyrovae.cli import main

    torch.set_num_threads(1)
    exec(patch, {"os": os, "signal": signal, "sys": sys})
    main()

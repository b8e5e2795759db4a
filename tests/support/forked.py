"""`pyrovae train` in processes of their own, forked from one that has imported all: starting takes no five seconds."""

import multiprocessing
import os
import shlex
import signal
import sys
import time

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pyrovae.cli.train.command", "pyrovae.cli.train.session"])


class Training:
    """What of `subprocess.Popen` the tests need; `patch` is run before the command."""

    def __init__(self, arguments, cwd, patch=""):
        self.paths = [cwd / f".{name}-{time.monotonic_ns()}" for name in ("out", "error")]
        self.process = FORKS.Process(target=_train, args=(arguments, cwd, patch, self.paths))
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
        """Its lines, as they come."""
        seen = 0
        while True:
            ended = self.poll() is not None
            lines = self.paths[0].read_text().splitlines(keepends=True) if self.paths[0].exists() else []
            whole = [line for line in lines if line.endswith("\n")]
            yield from whole[seen:]
            seen = len(whole)
            if ended:
                return
            time.sleep(0.02)

    def send_signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()

    def communicate(self, timeout=None):
        self.process.join(timeout)
        assert self.poll() is not None, f"no end within {timeout} s"
        told = [path.read_text() for path in self.paths]
        for path in self.paths:
            path.unlink()
        return told


def _train(arguments, cwd, patch, paths):
    os.chdir(cwd)
    for number, path in enumerate(paths, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.argv = ["pyrovae", "train", *shlex.split(arguments)]
    # A job in the background inherits an ignored SIGINT, and so does a process that forks.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    import pyrovae.cli.train.session
    from pyrovae.cli import main

    torch.set_num_threads(1)
    pyrovae.cli.train.session.draw = lambda run: ()  # figures are drawn elsewhere
    exec(patch, {"os": os, "signal": signal, "sys": sys})
    main()

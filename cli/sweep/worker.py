"""What a worker process of a sweep does with its runs: train them, or go on with them, evaluate and draw them.

Called as `python -m pyrovae.cli.sweep.worker TASK`, a line of JSON; see `workers.py`.
"""

import _thread
import json
import os
import sys
import threading
import time
from typing import Any

GRACE = 5  # seconds


def main() -> None:
    """Do the task; an error ends the process with one line."""
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    from pyrovae.errors import InputError  # the thread is there before anything takes its time

    try:
        work(**json.loads(sys.argv[1]))
    except (InputError, FloatingPointError) as error:
        sys.exit(str(error))


def work(
    paths: list[str], repeated: list[dict[str, str]], where: dict[str, Any], samples: int | None, figures: bool
) -> None:
    """Do what is left to do for the runs at `paths`, which train together; `where` is their device and data_dir now.

    `repeated` are the classes and places that each may name.
    """
    from pyrovae.figures import draw
    from pyrovae.pages.report import save
    from pyrovae.runs.run import Run
    from pyrovae.runs.sweep import is_drawn, is_evaluated

    from .. import cli
    from ..options import as_flags
    from ..train.session import train, train_batched

    runs, failed = [Run(path, **names) for path, names in zip(paths, repeated)], None
    unfinished = [run for run in runs if not run.finished]
    if len(unfinished) > 1:
        failed = train_batched(unfinished, where)
    elif unfinished:
        (run,) = unfinished
        config = None if run.begun else run.trusted.replace(**where)
        train(run.path, config, where, force=config is not None, figures=False, repeated=run.repeated)
    for path, names in zip(paths, repeated):
        if not (run := Run(path, **names)).finished:
            continue
        if samples and not is_evaluated(run, samples):
            arguments = ["evaluate", path, "--samples", str(samples), "--device", where["device"], *as_flags(names)]
            cli.main(arguments, standalone_mode=False)
        if figures and not is_drawn(run):
            for name, figure in reversed(list(draw(run))):  # losses is the last: it says that all are there
                if name == "losses":
                    save(run)  # with all others; it draws its own curves
                run.save_figure(name, figure)
    if failed:
        raise failed


def _end_with_the_sweep() -> None:
    """Wait for the end of the sweep, which holds the other end of this pipe and loses it however it ends."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): its lock, still held at the end, aborts the interpreter
    _thread.interrupt_main()
    time.sleep(GRACE)
    os._exit(130)  # the interrupt was ignored, or is slow; every file is written whole or not at all


if __name__ == "__main__":
    main()

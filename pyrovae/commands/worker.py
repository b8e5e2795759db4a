"""The process that works on some runs of a sweep: it trains or resumes them, evaluates them and draws figures.

Started as `python -m pyrovae.commands.worker TASK`, where TASK is one line of JSON; `workers.py` starts it.
"""

import _thread
import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pyrovae.runs.run import Run

GRACE = 5  # seconds


def main() -> None:
    """Do the task; an error ends the process with one line."""
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()  # before the imports, which take seconds
    import warnings

    from pyrovae.errors import InputError
    from pyrovae.inference.meeting import Lost

    task = json.loads(sys.argv[1])
    if len(task["paths"]) > 1:  # for instance if the step cannot be batched: the sweep shows these lines
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    else:
        warnings.simplefilter("ignore")
    try:
        work(**task)
    except (InputError, FloatingPointError, OSError, Lost) as error:
        sys.exit(str(error))


def work(
    paths: list[str], repeated: list[dict[str, Any]], where: dict[str, Any], samples: int | None, figures: bool
) -> None:
    """Do what is left to do for the runs at `paths`, which are trained together.

    `repeated` holds, for each run, the classes and paths of the user's own that it may load; `where` the device and the
    data_dir of this sweep.
    """
    from pyrovae.commands.batched import train_batched
    from pyrovae.commands.train import Training, carry_out
    from pyrovae.runs.run import Run

    runs, failure = [Run(path, **names) for path, names in zip(paths, repeated)], None
    unfinished = [run for run in runs if not run.finished]
    if len(unfinished) > 1:
        failure = train_batched(unfinished, where)
    elif unfinished:
        (run,) = unfinished
        if run.begun:
            training = Training(out=run.path, resume=True, settings=run.repeated | where)
        else:
            training = Training(run.trusted, run.path, force=True, settings=where)
        carry_out(training, figures=False)
    for path, names in zip(paths, repeated):
        run = Run(path, **names)  # read again, as its files have changed
        if run.finished:
            _evaluate_and_draw(run, samples, figures, where["device"])
    if failure:
        raise failure


def _evaluate_and_draw(run: "Run", samples: int | None, figures: bool, device: str) -> None:
    from pyrovae.figures import draw
    from pyrovae.pages.report import save
    from pyrovae.runs.sweep import is_drawn, is_evaluated

    if samples and not is_evaluated(run, samples):
        run.evaluate(samples, device=device)
    if figures and not is_drawn(run):
        for name, figure in reversed(list(draw(run))):  # `losses` comes last: it says that all others are there
            if name == "losses":
                save(run)  # the page shows all other figures, and draws the curves itself
            run.save_figure(name, figure)


def _end_with_the_sweep() -> NoReturn:
    """End this process when the sweep ends, in whatever way: its end of the pipe to this process is then closed."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): its lock, still held at the end, aborts the interpreter
    _thread.interrupt_main()
    time.sleep(GRACE)
    os._exit(130)  # the interrupt was ignored, or takes long; every file is written whole or not at all


if __name__ == "__main__":
    main()

"""The start of the command line: `pyrovae`, or `python -m pyrovae`."""

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line. Ctrl-C ends it by one line from here on, as even the imports of its `main` take a while."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as in the background
        signal.signal(signal.SIGINT, _leave)
    from pyrovae.cli import main as run
    from pyrovae.cli.terminal import say_traceback

    sys.excepthook = say_traceback
    try:
        run()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: nothing may interrupt the end of the interpreter


def _leave(*_: object) -> None:
    """End this process at once: whatever is imported may not notice an exception, or may make another one of it."""
    with suppress(OSError):
        if os.environ.get("RANK", "0") == "0":  # of several processes only the first one prints
            os.write(2, b"pyrovae: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()

"""pyrovae decompress: restore the images that `pyrovae compress` wrote to a file."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import click

from pyrovae.errors import InputError

from .options import check_out, repeated_of, repeats, save_out
from .terminal import say
from .values import NAMED, examples


@click.command("decompress", epilog=examples("pyrovae decompress results/mnist mnist.bits --out mnist.npz"))
@click.argument("run", type=NAMED)
@click.argument("file", type=NAMED)
@click.option("--out", metavar="FILE.npz", type=NAMED, help="`images`, or `rows` of a table  [FILE with .npz]")
@click.option("--force", is_flag=True, help="replace the file that is written")
@repeats
def command(run: Path, file: Path, out: Path | None, force: bool, **repeated: str | bool | None) -> None:
    """Restore the images of FILE, which `pyrovae compress` made by the same RUN, bit for bit.

    It takes the same weights and settings, and the same versions of torch and of constriction, as they compute the
    same numbers. Anything else is refused, and so are images that do not agree with their checksum.
    """
    out = out or file.with_suffix(".npz")
    check_out(out, (".npz",), force)
    import numpy as np
    from rich.progress import track

    from pyrovae.commands.compress import decompressed
    from pyrovae.runs.run import Run

    from .console import Console

    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"file: expected a file of pyrovae compress at {file}, got: {error.strerror}") from None
    console = Console()
    show = partial(track, description="decompressing", transient=True, console=console, disable=not console.is_terminal)
    images = decompressed(Run(run, **repeated_of(repeated)), content, show)
    restored = io.BytesIO()
    name = "images" if images.ndim == 4 else "rows"
    arrays: dict[str, Any] = {name: images}
    np.savez_compressed(restored, **arrays)
    save_out(out, restored.getvalue())
    say(f"{len(images):,} {name}, which agree with their checksum", out)

"""pyrovae compress: turn the bound of a run into bytes."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import check_out, repeated_of, repeats, save_out
from .terminal import say
from .values import NAMED, Whole, examples

if TYPE_CHECKING:
    from pyrovae.commands.compress import Compression


@click.command(
    "compress",
    epilog=examples(
        "pyrovae compress results/mnist mnist.bits --figure sizes.png",
        "pyrovae compress results/mnist mine.bits folder:photos",
    ),
)
@click.argument("run", type=NAMED)
@click.argument("file", type=NAMED)
@click.argument("data", required=False)
@click.option("--images", metavar="N", type=Whole(), help="the first N images  [all]")
@click.option("--bits", metavar="B", type=Whole(1, 20), default=14, help="of each dimension of a latent vector  [14]")
@click.option("--figure", metavar="FILE.png", type=NAMED, help="draw the sizes by other compressors, too")
@click.option("--force", is_flag=True, help="replace FILE and that of --figure")
@repeats
def command(
    run: Path,
    file: Path,
    data: str | None,
    images: int | None,
    bits: int,
    figure: Path | None,
    force: bool,
    **repeated: str | bool | None,
) -> None:
    """Compress the test images of RUN, a folder of `pyrovae train`, to FILE, or those of DATA, as folder:PHOTOS.

    They take about as many bits as the negative ELBO says: bits-back coding by guide and model (Townsend et al. 2019).
    The images are those that RUN is evaluated on, after its pixel protocol, which must be one of whole numbers: bytes,
    dynamic, static or threshold, or a table of counts or binary values. `pyrovae decompress RUN FILE` restores them bit
    for bit; their labels are not in the file.

    This takes the package constriction: pip install 'pyrovae[compress]'.
    """
    check_out(file, (file.suffix,), force, "file")
    check_out(figure, (".png",), force, "figure")
    from rich.progress import track

    from pyrovae.commands.compress import compressed
    from pyrovae.runs.run import Run

    from .console import Console

    opened = Run(run, **repeated_of(repeated))
    console = Console()
    show = partial(track, description="compressing", transient=True, console=console, disable=not console.is_terminal)
    result = compressed(opened, data, images, bits, show)
    save_out(file, result.content, "file")
    noun = "image" if len(opened.vae.shape) == 3 else "row"
    say(*_lines(result, noun), file)
    if figure is not None:
        say(save_out(figure, _drawn(result, noun, data or opened.config.dataset), "figure"))


def _lines(result: "Compression", noun: str) -> Iterator[str]:
    yield (
        f"{result.images:,} {noun}s in {len(result.content):,} bytes: {result.nats:.2f} nats per {noun},"
        f" {result.bits_per_dimension:.4f} bits per dimension"
    )
    bound = -result.elbo
    yield (
        f"-ELBO of the same {noun}s: {bound:.2f} nats; the file {_more(result.nats, bound)}, without header and start"
        f" {_more(result.net, bound)}"
    )
    yield (
        f"counted: {result.header} bytes of header, and {8 * result.start} clean bits to start with, which are the"
        f" checksum of the {noun}s"
    )
    yield "the same by others: " + ", ".join(
        f"{name} {size:,} bytes ({size / len(result.content):.2f} times)" for name, size in result.others.items()
    )


def _more(nats: float, bound: float) -> str:
    return f"{100 * (nats / bound - 1):+.2f} %"


def _drawn(result: "Compression", noun: str, dataset: str) -> bytes:
    from pyrovae.figures.compression import OWN, compression
    from pyrovae.figures.names import plain
    from pyrovae.figures.style import as_png

    sizes = {name: size / result.images for name, size in (result.others | {OWN: len(result.content)}).items()}
    title = f"{result.images:,} {noun}s of {plain(dataset)}, compressed together"
    return as_png(compression(sizes, -result.elbo / 8 / math.log(2), title, noun))

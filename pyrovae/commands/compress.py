"""Compress the images of a dataset by the model of a run, and restore them."""

import io
import lzma
import math
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pyrovae.commands.all_rows import all_rows
from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.errors import at_least
from pyrovae.evaluation.bits_back import BITS, BitsBack, Track
from pyrovae.evaluation.elbo import elbo_scores
from pyrovae.inference import seeded
from pyrovae.runs.compressed import Header, read, signature, versions
from pyrovae.runs.run import Run

DRAWS = 10  # of a code for each image, over which the bound is averaged


@dataclass(frozen=True)
class Compression:
    """Compressed images, and how large they are otherwise; all of `content` is counted in `nats`."""

    content: bytes  # of the file
    images: int
    dimensions: int  # of an image
    header: int  # bytes of the content
    start: int  # bytes of the content that it took to start, which are the images' checksum
    elbo: float  # of the same images, in nats per image
    others: dict[str, int]  # bytes of the same images by other compressors

    @property
    def nats(self) -> float:
        """Per image."""
        return self.nats_of(len(self.content))

    @property
    def net(self) -> float:
        """Nats per image without header and start, which many images share."""
        return self.nats_of(len(self.content) - self.header - self.start)

    @property
    def bits_per_dimension(self) -> float:
        return self.nats / self.dimensions / math.log(2)

    def nats_of(self, size: int) -> float:
        """Return the nats per image of a file of so many bytes."""
        return size * 8 * math.log(2) / self.images


def compressed(
    run: Run, dataset: str | None = None, images: int | None = None, bits: int = BITS, track: Track = iter
) -> Compression:
    """Compress the first `images` test images of a run, or all images of another dataset, as `BitsBack` does.

    The images are those that the run is evaluated on, after its pixel protocol: where that draws pixels, they have been
    drawn once. `bits` are those of a latent dimension, and `track` wraps the loop over images to show its progress.
    Raises `InputError` for a model by which nothing can be coded, and for images with missing values.
    """
    if images is not None:
        at_least(1, images=images)
    coder = BitsBack(run.vae, bits)
    data = run.data if dataset is None else all_rows(run, dataset, "compress")
    chosen = data.test[slice(0, images)]
    x = coder.symbols(data, chosen)
    message, start = coder.encode(x, coder.values(x), track)
    about = (run.pixels.protocol, run.vae.shape, len(x), coder.values(x), bits, start)
    header = Header(signature(run.path), versions(), *about)
    content = header.file(message)
    return Compression(
        content,
        images=len(x),
        dimensions=math.prod(run.vae.shape),
        header=len(content) - message.nbytes,
        start=4 * start,
        elbo=_elbo(run, data, chosen),
        others=_others(_stored(x, run)),
    )


def decompressed(run: Run, content: bytes, track: Track = iter) -> np.ndarray:
    """Return the images of a file that `compressed` made by this run: uint8 (n, C, H, W), or float32 rows (n, D).

    They are those of the dataset after the run's pixel protocol, bit for bit: pixels that are on are 255. Raises
    `InputError` for a file of another run or of other versions of torch or constriction, for a damaged one, and if the
    images do not agree with their checksum.
    """
    header, message = read(content, run.path)
    coder = BitsBack(run.vae, header.bits)
    return _stored(coder.decode(message, header.start, header.images, header.values, track), run)


def _stored(x: np.ndarray, run: Run) -> np.ndarray:
    """Return images in the numbers in which a dataset keeps them, for those that the likelihood scores."""
    if x.ndim == 2:
        return x.astype(np.float32)
    return (x if run.pixels.protocol == "bytes" else 255 * x).astype(np.uint8)


def _elbo(run: Run, data: Data, images: Images) -> float:
    with seeded(0):
        return -float(np.mean([elbo_scores(run.vae, data, images)["loss"] for _ in range(DRAWS)]))


def _others(images: np.ndarray) -> dict[str, int]:
    """Return the bytes that the same images take by other compressors, all in one file; pixels on or off as bits."""
    binary = images.ndim == 4 and set(np.unique(images)) <= {0, 255}
    raw = np.packbits(images > 0).tobytes() if binary else images.tobytes()
    sizes = {"zlib": len(zlib.compress(raw, 9)), "lzma": len(lzma.compress(raw, preset=9))}
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        return sizes
    strip = np.concatenate([*np.moveaxis(images, 1, -1)])  # one picture, an image below the other
    picture, file = Image.fromarray(strip[..., 0] if strip.shape[-1] == 1 else strip), io.BytesIO()
    (picture.convert("1", dither=Image.Dither.NONE) if binary else picture).save(file, "PNG", optimize=True)
    return {"PNG": file.tell()} | sizes

"""Bits-back coding: what a bound on log p(x) claims, as bytes."""

import copy
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from pyro.distributions import Unit
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.errors import InputError
from pyrovae.evaluation.codec_of import MOST_VALUES, codec_of, most_of
from pyrovae.inference import seeded
from pyrovae.inference.arrays import BATCH
from pyrovae.inference.codecs import PRECISION, Bins, Codec, Stack, constriction, mixed
from pyrovae.inference.parameters import hidden
from pyrovae.inference.threads import using
from pyrovae.program import Program

BITS = 14  # of each dimension of a latent vector
PLENTY = 2**16  # words on the stack at first: what is not used of them is left out of the message
LEAST = 4  # words that are left in, at the least: they are the checksum of the images
Track = Callable[[Iterable[int]], Iterable[int]]  # shows the progress of a loop, as rich's `track` does


class BitsBack:
    r"""Codes images in about −ELBO bits each, in nats −E_q[log p(x, z)/q(z | x)], by any program with a finite bound.

    To push an image x onto a stack of bits, pop the latents z by the guide, q(z | x), and push x and z by the model,
    p(x | z) and p(z): what z costs more than it is worth comes back by the first step. To pop an image, undo these
    steps in reverse. Both run guide and model as they are, under an effect that pops each site or pushes it. Bits-back
    coding by asymmetric numeral systems: Townsend, Bird & Barber (2019), arXiv:1901.04866. Latent vectors are rounded
    to the middles of 2^`bits` bins in each dimension: see `pyrovae.inference.codecs.Bins`.

    The first z takes bits off a stack that has none yet. They are a checksum of the images (SHAKE-256), which is on
    the stack again once all are popped: so these bits are of use, and no other images are returned.

    A copy of the program runs in float64, on one thread of the CPU and for one image at a time, so that both sides
    compute the same numbers. Raises `InputError` for a program that it cannot code by: one that is given a condition
    or reads missing values, one with a site of a family that has no codec, or with a likelihood that is a density.

    >>> config = Config(dataset="digits", pixels="threshold")
    >>> data = load(config)
    >>> coder = BitsBack(build(config, data.shape))
    >>> x = coder.symbols(data, data.test[slice(0, 9)])
    >>> message, start = coder.encode(x, values=2)
    >>> bool((coder.decode(message, start, n=9, values=2) == x).all())
    True
    """

    def __init__(self, program: Program, bits: int = BITS) -> None:
        constriction()
        if not 1 <= bits <= PRECISION - 4:
            raise InputError(f"bits: expected from 1 to {PRECISION - 4}, got {bits}")
        _expect_codable(program)
        self.bins = Bins(bits)
        self.program = copy.deepcopy(program).cpu().double().eval()
        self.most: int | None = None  # the largest value of a pixel, None if there is none; set by a trial
        example, trial = np.zeros(program.shape, np.int32), Stack(_checksum(np.zeros(1, np.int32), PLENTY))
        with torch.no_grad():
            self.program.sites(_batch(example))
            latents = self._pop(trial, 2, self.program.guide, example)
            self._count = sum(symbols.size for symbols in latents.values())
            self._push(trial, 2, latents | {program.image: example}, self.program.model)

    def symbols(self, data: Data, images: Images) -> np.ndarray:
        """Return images as the whole numbers that the likelihood scores: int32 (n, *shape)."""
        with seeded(0):
            parts = [data.batch(images, slice(i, i + BATCH)).x.cpu() for i in range(0, len(images), BATCH)]
        x = torch.cat(parts)
        if x.isnan().any():
            raise InputError("compress: expected whole images, got some of which values are missing")
        most = MOST_VALUES - 1 if self.most is None else self.most
        if (x != x.round()).any() or x.min() < 0 or x.max() > most:
            raise InputError(f"compress: expected whole numbers from 0 to {most}, got some from {x.min()} to {x.max()}")
        return x.int().numpy()

    def values(self, x: np.ndarray) -> int:
        """Return how many values a pixel may take: those of the likelihood, or if it has no end, of the images."""
        return 1 + (max(int(x.max()), 1) if self.most is None else self.most)

    @torch.no_grad()
    def encode(self, x: np.ndarray, values: int, track: Track = iter) -> tuple[np.ndarray, int]:
        """Return the message of images x (n, *shape), words of uint32, and how many of them it took to start."""
        stack = Stack(_checksum(x, PLENTY))
        with using(1):
            for i in track(range(len(x))):
                mixed(stack, self._count, _key(i))
                latents = self._pop(stack, values, self.program.guide, x[i])
                self._push(stack, values, latents | {self.program.image: x[i]}, self.program.model)
        untouched = min(stack.untouched, PLENTY - LEAST)
        return stack.words[untouched:], PLENTY - untouched

    @torch.no_grad()
    def decode(self, message: np.ndarray, start: int, n: int, values: int, track: Track = iter) -> np.ndarray:
        """Return the n images of a message, int32 (n, *shape); `InputError` unless they agree with their checksum."""
        if self.most is not None and values != self.most + 1:
            raise InputError(f"decompress: expected {self.most + 1} values of a pixel, as the model has, got {values}")
        stack, images = Stack(message), list[np.ndarray]()
        with using(1):
            for i in track(reversed(range(n))):
                symbols = self._pop(stack, values, self.program.model)
                if stack.untouched < 0:  # it is empty
                    break
                images.append(symbols.pop(self.program.image))
                self._push(stack, values, symbols, self.program.guide, images[-1])
                mixed(stack, self._count, _key(i))
        x = np.stack(images[::-1] or [np.zeros(self.program.shape, np.int32)])
        if not np.array_equal(stack.words, _checksum(x, start)):
            raise InputError(
                "decompress: expected images that agree with the checksum of the file, got others: this machine"
                " computes other numbers than the one that compressed them; decompress the file there"
            )
        return x

    def _pop(self, stack: Stack, values: int, run: Any, x: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Pop the sites of guide or model in the order in which they run; return their symbols by name."""
        symbols: dict[str, np.ndarray] = {}

        def pop(name: str, fn: Any) -> Tensor:
            codec = codec_of(name, fn, self.bins, values)
            symbols[name] = codec.pop(stack)
            return _batch(codec.value(symbols[name]))

        self._run(run, pop, x)
        return symbols

    def _push(
        self, stack: Stack, values: int, symbols: dict[str, np.ndarray], run: Any, x: np.ndarray | None = None
    ) -> None:
        """Push the sites of guide or model, the last one first."""
        codecs: dict[str, Codec] = {}

        def note(name: str, fn: Any) -> Tensor:
            if name == self.program.image:
                self.most = most_of(fn)
            codecs[name] = codec_of(name, fn, self.bins, values)
            return _batch(codecs[name].value(symbols[name]))

        self._run(run, note, x)
        for name, codec in reversed(codecs.items()):
            codec.push(stack, symbols[name])

    def _run(self, run: Any, draw: Callable[[str, Any], Tensor], x: np.ndarray | None = None) -> None:
        """Run the guide on an image, or the model on none, with each site drawn by `draw`."""
        with hidden(), _Drawn(draw):
            run(None, None, 1) if x is None else run(_batch(x))


class _Drawn(Messenger):
    """Draws each site by a function of its name and distribution, as a Pyro effect handler."""

    def __init__(self, draw: Callable[[str, Any], Tensor]) -> None:
        super().__init__()
        self.draw = draw

    def _pyro_sample(self, msg: Any) -> None:
        if not (msg["done"] or site_is_subsample(msg) or isinstance(msg["fn"], Unit)):
            msg["value"], msg["done"] = self.draw(msg["name"], msg["fn"]), True


def _expect_codable(program: Program) -> None:
    if program.context is not None:
        raise InputError("compress: expected a model without a condition, as the file does not hold any, got one with")
    if program.missing:
        raise InputError("compress: expected a model of whole data, got one of data with missing values")
    if not program.has_kl:
        raise InputError("compress: expected a posterior that is a density, to draw from, got a plain autoencoder")


def _batch(values: np.ndarray) -> Tensor:
    """Return values of one image as a batch of one, in memory of its own: where it lies may change last digits."""
    return torch.from_numpy(values).double()[None].clone()


def _key(image: int) -> bytes:
    return image.to_bytes(8, "little")


def _checksum(x: np.ndarray, words: int) -> np.ndarray:
    """Return so many words of SHAKE-256 of images, the first one on top, that is last; that one is never 0."""
    digest = hashlib.shake_256(x.astype("<i4").tobytes()).digest(4 * words)
    checksum = np.frombuffer(digest, "<u4").astype(np.uint32)
    checksum[0] |= 2**31
    return checksum[::-1].copy()

"""The gate for arrays: decides which brightness their numbers mean, where their channels lie, and what is refused."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.background import on_background, say_transparent
from pyrovae.data.sparse import SparseRows, Stored
from pyrovae.data.storage import PART, allocate
from pyrovae.errors import InputError

MOST_PIXELS = 2**26  # of one image: a header that says more is damaged or malicious
FULL = 2**16 - 1  # the brightest number of 16 bits
BRIGHT = 128  # images in 0..255 whose brightest number is smaller are suspect, unless they are bytes
MOST_ROWS = 200_000  # rows of a set that are compared with one another
PLAIN = 0.9  # numbers in [−1, 1] reach at least −0.9
CHANNELS = {1: "grey", 2: "grey and alpha", 3: "red, green and blue", 4: "red, green, blue and alpha"}


def read_images(
    arrays: Mapping[str, np.ndarray],
    place: str,
    shape: Sequence[int] = (),
    background: str = "white",
    plain: bool = False,
) -> dict[str, Tensor]:
    """Return arrays of images as uint8 (N, C, H, W), 0..255, with one reading for all of them.

    Numbers may be bytes; truth values; only 0 and 1; whole numbers, or floats, in 0..255; uint16; floats in [0, 1] or
    in [−1, 1]. A warning says how any but bytes are read. Shapes may be (N, H, W); (N, H, W, C) or (N, C, H, W), with
    C of `CHANNELS`; or (N, D), if `shape` says what D numbers are: (H, W), (C, H, W) or (H, W, C). Transparent pixels
    are drawn on `background`. `place` says in messages where arrays are from. Raises `InputError` for anything else.
    If floats are NaN somewhere, those pixels are missing, in all of their channels: all sets are then int16, −1 where
    one is missing, and a warning says which share is. With `plain`, nothing is said of truth values and of
    floats in [0, 1], which have no other reading.

    >>> read_images({"images": np.linspace(-1, 1, 8).reshape(2, 2, 2)}, "x").values()
    Traceback (most recent call last):
    UserWarning: dataset: images in x are float64 from -1 to 1: read as 127.5 (x + 1), rounded
    """
    parts = {
        name: _channels_first(array.reshape(expect_images(array.shape, name, place, shape)))
        for name, array in arrays.items()
    }
    if len(types := {array.dtype for array in parts.values()}) > 1:
        names = " and ".join(sorted(dtype.name for dtype in types))
        raise InputError(f"dataset: expected {' and '.join(parts)} of one type in {place}, got {names}")
    if len(shapes := {array.shape[1:] for array in parts.values()}) > 1:
        raise InputError(f"dataset: expected {' and '.join(parts)} of one shape in {place}, got {shapes}")
    reading = reading_of(parts, place)
    if reading.said and not (plain and reading.plain):
        warnings.warn(f"dataset: {reading.said}", stacklevel=3)
    gaps = {name: _is_missing(array) for name, array in parts.items()} if reading.missing else {}
    if gaps:
        share = sum(float(gap.sum()) for gap in gaps.values()) / sum(gap.size for gap in gaps.values())
        warnings.warn(f"dataset: {share:.2%} of the pixels in {place} are missing (NaN)", stacklevel=3)
    tensors = {name: _as_tensor(array, reading.convert, background, name, place) for name, array in parts.items()}
    return {name: with_gaps(tensor, gaps[name]) if gaps else tensor for name, tensor in tensors.items()}


@dataclass(frozen=True)
class Reading:
    """How numbers become 0..255, None for bytes; and the sentence that says so."""

    convert: Callable[[np.ndarray], np.ndarray] | None
    said: str = ""
    plain: bool = False  # there is no other reading
    missing: bool = False  # some numbers are NaN


def reading_of(arrays: Mapping[str, np.ndarray], place: str) -> Reading:
    """Decide what the numbers of these arrays mean, from their type and the range of all of them together.

    NaN, a pixel that is missing, has no say. Raises `InputError`, with the remedy, where that is not plain.
    """
    if any(map(_has_gaps, arrays.values())):
        return replace(_reading_of_numbers(arrays, place), missing=True)
    return _reading_of_numbers(arrays, place)


def _reading_of_numbers(arrays: Mapping[str, np.ndarray], place: str) -> Reading:
    names, dtype = " and ".join(arrays), next(iter(arrays.values())).dtype
    what = f"{names} in {place}"
    if dtype.kind not in "buif":
        raise InputError(f"dataset: expected {what} to be numbers, got type {dtype.name}")
    if dtype.kind == "b":
        return Reading(lambda x: x.astype(np.uint8) * 255, f"{what} are true or false: read as 255 and 0", True)
    ranges = {name: _range(array) for name, array in arrays.items()}
    lows, highs, wholes = zip(*ranges.values())
    least, most, whole = min(lows), max(highs), all(wholes)
    if not (math.isfinite(least) and math.isfinite(most)):
        raise InputError(
            f"dataset: expected {what} to be finite, or NaN where they are missing, got infinity, or nothing but NaN"
        )
    for name, (low, high, _) in ranges.items():  # read alike, a set in another unit would be black, or pale
        if high <= 1 < most or (low >= 0 > least):
            raise InputError(
                f"dataset: expected {what} in one unit, got {name} from {low:,.6g} to {high:,.6g} and another from"
                f" {least:,.6g} to {most:,.6g}"
            )
    span = f"{what} are {dtype.name} from {least:,.6g} to {most:,.6g}"
    if least >= 0 and most <= 1:
        if whole:
            said = f"{what} hold only 0 and 1: read as 0 and 255" if most else ""
            return Reading(lambda x: x.astype(np.uint8) * 255, said)
        return Reading(lambda x: np.rint(x * 255.0).astype(np.uint8), f"{span}: read as 255 x, rounded", True)
    if dtype.name == "uint8":
        dark = f"{what} are bytes of at most {most}: nearly black; if {most} is white, multiply by {255 / most:.3g}"
        return Reading(None, dark if most < BRIGHT / 4 else "")
    if dtype.kind == "f" and -1 <= least <= -PLAIN and most <= 1:
        formula = "127.5 (x + 1), rounded"
        return Reading(lambda x: np.rint((x + 1.0) * 127.5).astype(np.uint8), f"{span}: read as {formula}")
    if least >= 0 and BRIGHT <= most <= 255:
        how = "read as bytes, 0..255" if whole else "read as 0..255, rounded"
        return Reading(lambda x: np.rint(x).astype(np.uint8), f"{span}: {how}")
    if dtype.name == "uint16" and most > FULL / 4:
        return Reading(lambda x: np.rint(x / 257.0).astype(np.uint8), f"{span}: read as x / 257, rounded")
    raise InputError(
        f"dataset: expected {what} as bytes in 0..255, floats in [0, 1] or [-1, 1], truth values, or uint16 up to"
        f" {FULL:,}, got {span.removeprefix(what + ' are ')}; bring them to [0, 1], where 1 is white"
    )


def _range(array: np.ndarray) -> tuple[float, float, bool]:
    """Return the least and the largest number that is not NaN, infinity if there is none, and whether all are whole."""
    least, most, whole = math.inf, -math.inf, True
    for start in range(0, len(array), PART):
        part = array[start : start + PART]
        if part.dtype.kind == "f":
            part = part[~np.isnan(part)]
            if not part.size:
                continue
        low, high = part.min().item(), part.max().item()
        least, most = min(least, low), max(most, high)
        whole = whole and (part.dtype.kind != "f" or bool((np.rint(part) == part).all()))
    return least, most, whole


def expect_images(shape: Sequence[int], name: str, place: str, flat: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the shape (N, C, H, W), (N, H, W, C) or (N, H, W) of an array of images, with flat rows unfolded.

    Raises `InputError` for any other, and for images of too many pixels.
    """
    whole = (shape[0], *_unfolded(shape, name, place, flat)) if len(shape) == 2 and all(shape) else tuple(shape)
    first, last = (whole[axis] if len(whole) == 4 and whole[axis] in CHANNELS else 0 for axis in (1, 3))
    if (
        first and last and not first < 3 <= last
    ):  # one or two rows of a colour image are rare, but have no other reading
        raise InputError(
            f"dataset: expected {name} of one reading in {place}, got shape {tuple(shape)}, whose channels may be"
            f" {first} in front or {last} behind; leave out an axis of 1, or transpose them"
        )
    if len(whole) not in (3, 4) or 0 in whole or (len(whole) == 4 and not (first or last)):
        raise InputError(
            f"dataset: expected {name} of shape (N, H, W), (N, H, W, C) or (N, C, H, W), with C from 1 to 4, in"
            f" {place}, got {tuple(shape)}"
        )
    check_pixels(*(whole[1:3] if last or len(whole) == 3 else whole[2:4]))
    return whole


def check_pixels(height: int, width: int) -> None:
    """Raise `ValueError` for an image of more than `MOST_PIXELS` pixels."""
    if math.prod((height, width)) > MOST_PIXELS:
        raise ValueError(f"an image of {height}×{width} pixels, more than the {MOST_PIXELS:,} that one may have")


def _unfolded(shape: Sequence[int], name: str, place: str, flat: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the image that each flat row is."""
    d = shape[1]
    if not flat:
        side = math.isqrt(d)
        remedy = f"--shape {side},{side}" if side * side == d else "--shape H,W"
        raise InputError(
            f"dataset: expected {name} of shape (N, H, W) in {place}, got {tuple(shape)}; if each row is an image, say"
            f" of what shape, by {remedy}; if it is"
            " a row of a table, say what its numbers are, by --pixels standardized, real, counts or binary"
        )
    if math.prod(flat) != d or not 2 <= len(flat) <= 3:
        raise InputError(
            f"shape: expected two or three numbers with the product {d}, as {name} in {place} has rows of so many, got"
            f" {','.join(map(str, flat))}"
        )
    return tuple(flat)


def _channels_first(array: np.ndarray) -> np.ndarray:
    """Return a view (N, C, H, W) of an array of images of a shape that `expect_images` returns."""
    if array.ndim == 3:
        return array[:, None]
    return array.transpose(0, 3, 1, 2) if array.shape[3] in CHANNELS else array


def _as_tensor(
    array: np.ndarray, convert: Callable[[np.ndarray], np.ndarray] | None, background: str, name: str, place: str
) -> Tensor:
    """Convert a view (N, C, H, W) part by part; drop an alpha channel by drawing the image on the background."""
    n, channels, height, width = array.shape
    alpha = channels in (2, 4)
    if convert is None and not alpha and array.flags.c_contiguous and array.flags.writeable:
        return torch.from_numpy(array)
    out = allocate((n, channels - alpha, height, width))
    seen = 0
    for start in range(0, n, PART):
        part = array[start : start + PART]
        part = part if convert is None else convert(np.nan_to_num(part) if part.dtype.kind == "f" else part)
        if alpha:
            seen += int((part[:, -1] < 255).any(axis=(1, 2)).sum())
            part = on_background(part, background, axis=1)
        out[start : start + PART] = torch.from_numpy(
            np.array(part, order="C")
        )  # a copy: torch takes no read-only array
    if alpha:
        say_transparent(seen, n, f"{name} in {place}", background)
    return out


def _has_gaps(array: np.ndarray) -> bool:
    """Say whether some numbers are NaN."""
    starts = range(0, len(array), PART) if array.dtype.kind == "f" else ()
    return any(np.isnan(array[start : start + PART]).any() for start in starts)


def _is_missing(array: np.ndarray) -> np.ndarray:
    """Return which pixels (N, 1, H, W) are missing, those of which a channel is."""
    gaps: np.ndarray = np.isnan(array).any(1, keepdims=True)
    return gaps


def with_gaps(images: Tensor, missing: np.ndarray) -> Tensor:
    """Return images as int16, −1 where a pixel is missing; or vectors with NaN there."""
    gaps = torch.from_numpy(missing)
    return images.masked_fill(gaps, torch.nan) if images.dim() == 2 else images.short().masked_fill(gaps, -1)


def expect_different(train: Stored, test: Stored | None, place: str) -> None:
    """Raise `InputError` if all training images are equal; warn if few differ, or if test images are among them.

    Rows of a table may repeat, as long as some differ.
    """
    if isinstance(train, SparseRows) or train.dim() == 2:
        rows_of = (row.numpy().tobytes() for part in train[:MOST_ROWS].split(PART) for row in part.to_dense())
        first = next(rows_of)
        if len(train) > 1 and all(row == first for row in rows_of):
            raise InputError(f"dataset: expected rows that differ in {place}, got {len(train):,} equal ones")
        return
    rows = {hash(row.numpy().tobytes()) for row in train[:MOST_ROWS]}
    n = min(len(train), MOST_ROWS)
    if len(rows) == 1 and n > 1:
        raise InputError(f"dataset: expected images that differ in {place}, got {len(train):,} equal ones")
    if len(rows) < n / 2:
        warnings.warn(f"dataset: only {len(rows):,} of {n:,} training images in {place} are different", stacklevel=3)
    if not isinstance(test, Tensor):
        return
    if shared := sum(hash(row.numpy().tobytes()) in rows for row in test[:MOST_ROWS]):
        warnings.warn(f"dataset: {shared:,} of {len(test):,} test images in {place} are training images", stacklevel=3)

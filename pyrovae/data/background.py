"""Draws transparent pixels on a background."""

import warnings

import numpy as np

from pyrovae.errors import InputError


def on_background(pixels: np.ndarray, background: str, axis: int) -> np.ndarray:
    """Draw pixels, whose last channel along `axis` is alpha, on a colour: α x + (1 − α) background, rounded."""
    pixels = np.moveaxis(pixels, axis, -1)
    alpha = pixels[..., -1:] / 255.0
    colour = np.array(colour_of(background, pixels.shape[-1] - 1), dtype=float)
    drawn = np.rint(alpha * pixels[..., :-1] + (1 - alpha) * colour).astype(np.uint8)
    return np.moveaxis(drawn, -1, axis)


def colour_of(background: str, channels: int) -> tuple[int, ...]:
    """Return a background as grey, or as red, green and blue, 0..255. Raises `InputError` for no colour."""
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError:
        raise InputError(f"background: expected a colour, as white, black or '#8899aa', got {background!r}") from None
    # as Pillow converts to grey, by the weights of ITU-R 601-2
    return (red, green, blue) if channels == 3 else (round((299 * red + 587 * green + 114 * blue) / 1000),)


def say_transparent(seen: int, n: int, what: str, background: str) -> None:
    """Warn if images have transparent pixels, and say what they are drawn on."""
    if seen:
        warnings.warn(
            f"dataset: {seen:,} of {n:,} {what} are transparent in places: drawn on {background} (--background)",
            stacklevel=4,
        )

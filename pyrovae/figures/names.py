"""Texts from outside in figures: names of runs, classes and settings, which may hold any character.

matplotlib would set what stands between dollar signs as mathematics, leave names that begin with `_` out of a legend,
and draw the same box for every character that its font lacks.
"""

import contextlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import matplotlib
from matplotlib import ft2font
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

JOINS = hasattr(ft2font, "__libraqm_version__")  # older ones draw Arabic letters apart, and from left to right
TO_JOIN = {"R", "AL", "NSM"}  # letters from right to left, and marks on other letters, as unicodedata calls them
BOXES = re.compile("last ?resort|blank|colou?r|emoji", re.IGNORECASE)  # fonts without letters, or not of outlines
NUMBER = re.compile(r"#\d+")
MOST_IN_LINE, MOST_BESIDE = 110, 40  # characters of a label: below a figure of eleven inches, and beside a point


def plain(text: str, most: int = 20, weight: str = "normal") -> str:
    r"""Return a text as matplotlib is to draw it in the fonts `families([text])`, shortened to `most` characters.

    Characters that no font has are written as in Python.

    >>> plain(r"$\foo$"), plain("a\n")
    ('\\$\\foo\\$', 'a\\n')
    """
    unknown = _fonts([text], weight)[1]
    shown = "".join(ascii(c)[1:-1] if c in unknown or not _visible(c) else c for c in _composed(text))
    return _shortened(shown, most).replace("$", r"\$")


def labels(names: Iterable[str], most: int = 20) -> list[str]:
    """Return what a figure shows for each of several names, in the fonts `families(names)`, all to be told apart.

    That is the name, or its number as `#3` if no font has its characters or another name looks the same; the function
    `key` lists those numbers.
    """
    names = list(names)
    numbered = key(names, most)
    return [f"#{i}" if f"#{i}" in numbered else plain(name, most) for i, name in enumerate(names)]


def key(names: Sequence[str], most: int = 20) -> dict[str, str]:
    """Return the names that a figure shows by their numbers, by those numbers.

    >>> key(["cat", "a" * 30 + "1", "a" * 30 + "2"])
    {'#1': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', '#2': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2'}
    """
    unknown = _fonts(names)[1]
    shown = [_shortened(" ".join(_composed(name).split()), most) for name in names]
    count = Counter(shown)
    return {
        f"#{i}": name
        for i, (name, text) in enumerate(zip(names, shown))
        if not text or count[text] > 1 or NUMBER.fullmatch(text) or not name.isprintable() or unknown & {*text}
    }


def families(texts: Iterable[str]) -> list[str]:
    """Return the families of fonts that have all characters of the texts, as far as there are such fonts."""
    return [*FontProperties().get_family(), *_fonts(texts)[0]]


def legend(figure: Figure, handles: Sequence[Artist], names: Sequence[str], most: int = 20, **options: Any) -> None:
    """Add a legend to the figure that names the handles."""
    texts = figure.legend(handles, [*map(str, range(len(names)))], frameon=False, **options).get_texts()
    fonts = families(names)
    for text, label in zip(texts, labels(names, most)):  # set afterwards, as a legend leaves out those with a first _
        text.set(text=label, family=fonts)


def _visible(character: str) -> bool:
    """Whether a character can be drawn if a font has it: spaces of any width, too."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _composed(text: str) -> str:
    """Return the text with letters and their accents in one character, which more fonts have, where there is one."""
    return unicodedata.normalize("NFC", text)


def _fonts(texts: Iterable[str], weight: str = "normal") -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the families needed beside the standard ones, and the characters that cannot be drawn."""
    characters = {c for c in _composed("".join(texts)) if _visible(c)}
    apart = {c for c in characters if not JOINS and unicodedata.bidirectional(c) in TO_JOIN}
    chosen, unknown = _elsewhere(frozenset(characters - apart - _standard(weight, *FontProperties().get_family())))
    return chosen, unknown | apart


@lru_cache(8)
def _standard(weight: str, *families: str) -> frozenset[str]:
    """Return the characters that the standard font has; bold it may have fewer."""
    return frozenset(map(chr, get_font(findfont(FontProperties(family=families, weight=weight))).get_charmap()))


@lru_cache(64)
def _elsewhere(wanted: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Look for characters in the other fonts: return families that have them, and the characters that none has."""
    chosen = []
    for family, path in _other_fonts() if wanted else ():
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # the file is gone, or no font
            font = get_font(path)
            here = {c for c in wanted if font.scalable and font.get_char_index(ord(c))}
            if here:
                chosen.append(family)
                wanted -= here
        if not wanted:
            break
    return tuple(chosen), wanted


def _other_fonts() -> list[tuple[str, str]]:
    """Return families and files: DejaVu Sans, then the system's, sans-serif first. matplotlib's are for formulas."""
    own = matplotlib.get_data_path()
    fonts = {
        font.name: font.fname
        for font in fontManager.ttflist
        if (font.style, font.weight) == ("normal", 400)
        and not font.fname.startswith(own)
        and not BOXES.search(font.name)
    }
    return [("DejaVu Sans", findfont("DejaVu Sans")), *sorted(fonts.items(), key=lambda font: "Sans" not in font[0])]

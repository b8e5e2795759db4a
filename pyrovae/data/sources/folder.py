"""Reads a folder of image files."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from pyrovae.data.background import say_transparent
from pyrovae.data.gate import FULL
from pyrovae.data.layouts import FOLDERS, split_of
from pyrovae.data.sources.image_files import HEIF, Picture, formats_by_ending, open_picture, square
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import allocate, select
from pyrovae.errors import InputError, expect_text, reason

NAMED = 5  # how many files a message names


def read_folder(
    path: Path, image_size: int | None = None, background: str = "white", on_broken: str = "stop"
) -> RawData:
    """Read all images in a folder, in one sub-folder per label, or in sub-folders `train`, `test` and `val` of either.

    With `image_size`, images are cropped and resized to squares; transparent pixels are drawn on `background`. If red,
    green and blue agree everywhere, the images become grey, with one channel. Warnings name the files that are left
    out, and what is read otherwise than it looks. Raises `InputError` if there are no images, if they differ in size
    without `image_size`, or if some cannot be read, unless `on_broken` is "skip".
    """
    try:
        instead = None if path.is_dir() else "a file" if path.exists() else "nothing"
        files = [] if instead else sorted(file for file in _below(path) if file.is_file())
    except OSError as error:  # the name is too long, or the folder must not be read
        instead = reason(error)
    if instead:
        raise InputError(f"dataset: expected a folder of images at {path}, got {instead}")
    formats = formats_by_ending()
    pictures = [file for file in files if file.suffix.lower() in formats]
    if not pictures:
        raise InputError(f"dataset: expected images (.png, .jpg, ...) in {path}, got none")
    if others := Counter(file.suffix.lower() or file.name for file in files if file.suffix.lower() not in formats):
        kinds = ", ".join(f"{count:,} {ending}" for ending, count in sorted(others.items())[:NAMED])
        remedy = "; pip install pillow-heif reads HEIF" if any(ending in others for ending in HEIF) else ""
        warnings.warn(
            f"dataset: {others.total():,} files in {path} are no images that can be read, and are left out:"
            f" {kinds}{remedy}",
            stacklevel=2,
        )
    sets = _sets(pictures, path)
    names = {part: [_label(file, root) for file in group] for part, (group, root) in sets.items()}
    classes = tuple(sorted({name for group in names.values() for name in group if name}))
    expect_text(f"dataset: a class in {path}", *classes)  # before the images are read, which may take long
    reader = _Reader(path, image_size, background, on_broken, formats)
    images, kept = reader.read([file for group, _ in sets.values() for file in group])
    tensors, start, read = dict[str, Tensor](), 0, 0  # the rows of a set among all files, and among those that are read
    for part, group in names.items():
        rows = [row - start for row in kept if start <= row < start + len(group)]
        if not rows:
            raise InputError(f"dataset: expected images in {sets[part][1]}, got none that can be read")
        tensors[part] = images[read : read + len(rows)]
        if classes:
            tensors[part.replace("images", "labels")] = torch.tensor([classes.index(group[row]) for row in rows])
        start, read = start + len(group), read + len(rows)
    return RawData(**tensors, classes=classes, columns=(), kinds=(), conditions={})


def _below(path: Path) -> Iterator[Path]:
    """Yield all visible paths in the folder, and follow links to a label's folder, unless they lead to a parent."""
    links = [link for link in path.iterdir() if link.is_symlink() and link.is_dir()]
    for root in (path, *(link for link in links if not path.resolve().is_relative_to(link.resolve()))):
        for file in root.rglob("*"):
            if not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield file


def _sets(files: Sequence[Path], path: Path) -> dict[str, tuple[list[Path], Path]]:
    """Return the files of each set, and its folder. Raises `InputError` for a mixture of depths.

    Sub-folders `train` and `test`, or `val`, are sets, which a warning says.
    """
    below = {file: file.relative_to(path).parts for file in files}
    tops = sorted({parts[0] for parts in below.values() if len(parts) > 1})
    flat = any(len(parts) == 1 for parts in below.values())
    split = {} if flat else split_of(tops)
    sets = {part: ([file for file in files if below[file][0] == name], path / name) for part, name in split.items()}
    if split:
        counts = ", ".join(f"{len(sets[part][0]):,} images in {name}" for part, name in split.items())
        warnings.warn(f"dataset: the sub-folders of {path} are read as its sets: {counts}", stacklevel=3)
    sets = sets or {"images": ([*files], path)}
    depths = {len(file.relative_to(root).parts) for group, root in sets.values() for file in group}
    if depths not in ({1}, {2}):
        hint = f"; did you mean 'folder:{path / tops[0]}'?" if not flat and len(tops) == 1 else ""
        raise InputError(
            f"dataset: expected all images of {path} in it, or all in one sub-folder per label, got a mixture{hint}"
        )
    if not split and (meant := [name for name in tops if any(name.lower() in known for known in FOLDERS.values())]):
        warnings.warn(f"dataset: {' and '.join(meant)} in {path} are read as classes, not as sets", stacklevel=3)
    return sets


def _label(file: Path, root: Path) -> str:
    """Return the name of the sub-folder that a file lies in, or nothing."""
    parts = file.relative_to(root).parts
    return parts[0] if len(parts) == 2 else ""


@dataclass
class _Reader:
    """Reads files into one tensor, and counts what it has to say about them."""

    path: Path
    image_size: int | None
    background: str
    on_broken: str
    formats: Mapping[str, tuple[str, ...]]  # in which files may be, by their endings
    broken: dict[Path, str] = field(default_factory=dict)
    transparent: int = 0
    animated: int = 0
    deep: int = 0  # files of 16 bits
    brightest: int = 0  # of those

    def read(self, files: Sequence[Path]) -> tuple[Tensor, list[int]]:
        """Return the images of the files that can be read, and which files these are."""
        images, sizes, grey, kept = torch.empty(0), set[tuple[int, ...]](), True, list[int]()
        for i, file in enumerate(files):
            try:
                picture = open_picture(file, self.background, self.formats[file.suffix.lower()])
                image = square(picture.pixels, self.image_size)
            except Exception as error:
                self.broken[file] = reason(error)
                continue
            self._count(picture)
            sizes.add(tuple(image.shape[1:]))
            if not kept:
                images = allocate((len(files), *image.shape))
            if len(sizes) == 1:
                images[len(kept)] = image
                grey = grey and bool((image == image[:1]).all())  # red, green and blue agree everywhere
            kept.append(i)
        self._say(len(files))
        if len(sizes) > 1:
            raise InputError(
                f"dataset: expected images of one size or --image-size, got {len(sizes)} sizes in {self.path}"
            )
        images = images[: len(kept)]
        return select(images[:, :1], torch.arange(len(images))) if grey else images, kept

    def _count(self, picture: Picture) -> None:
        self.transparent += picture.transparent
        self.animated += picture.animated
        self.deep += picture.brightest is not None
        self.brightest = max(self.brightest, picture.brightest or 0)

    def _say(self, n: int) -> None:
        """Warn of what was read otherwise than it looks; raise `InputError` for what could not be read."""
        if self.broken and (self.on_broken != "skip" or len(self.broken) == n):
            (first, why), *others = self.broken.items()
            if not others:
                raise InputError(f"dataset: expected an image in {first}, got: {why}; --on-broken skip leaves it out")
            named = ", ".join(f"{file.relative_to(self.path)} ({why})" for file, why in [*self.broken.items()][:NAMED])
            more = f", and {len(self.broken) - NAMED:,} more" if len(self.broken) > NAMED else ""
            raise InputError(
                f"dataset: expected an image in each file of {self.path}, got {len(self.broken):,} of {n:,} that"
                f" cannot be read: {named}{more}; --on-broken skip leaves them out"
            )
        if self.deep and self.brightest <= FULL / 4:
            raise InputError(
                f"dataset: expected images of 16 bits in {self.path} to reach {FULL:,}, their white, got at most"
                f" {self.brightest:,}; bring them to the full range first"
            )
        said = {
            f"{len(self.broken):,} of {n:,} files in {self.path} cannot be read, and are left out": bool(self.broken),
            f"{self.animated:,} files in {self.path} have several frames: the first is read": bool(self.animated),
            f"{self.deep:,} images in {self.path} have 16 bits: read as x / 257, rounded": bool(self.deep),
        }
        for sentence in (sentence for sentence, true in said.items() if true):
            warnings.warn(f"dataset: {sentence}", stacklevel=4)
        say_transparent(self.transparent, n, f"images in {self.path}", self.background)

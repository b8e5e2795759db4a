"""The file that `pyrovae compress` writes: a line that says what it is, a header of one line, the message, a CRC-32."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pyrovae.errors import InputError
from pyrovae.inference.codecs import constriction
from pyrovae.runs.digests import digests_of

MAGIC = b"pyrovae compressed images 1\n"  # with the number of the format
SAME = ("torch", "constriction")  # packages of other versions may compute other numbers


@dataclass(frozen=True)
class Header:
    """What a decoder must know, and have, to decode a message."""

    run: Mapping[str, str]  # the SHA-256 of its weights and of its settings
    versions: Mapping[str, str]
    pixels: str  # the protocol
    shape: tuple[int, ...]
    images: int
    values: int  # that a pixel may take
    bits: int  # of a dimension of a latent vector
    start: int  # words of the message that it took to start, which are the images' checksum

    def file(self, message: np.ndarray) -> bytes:
        """Return the content of the file of a message, words of uint32."""
        line = json.dumps(asdict(self), separators=(",", ":")).encode()
        content = MAGIC + line + b"\n" + message.astype("<u4").tobytes()
        return content + _crc32(content)


def signature(folder: Path) -> dict[str, str]:
    """Return what the numbers that a run computes depend on."""
    digests = digests_of(folder)
    return {"weights": digests["model.safetensors"], "settings": digests["config.toml"]}


def versions() -> dict[str, str]:
    """Return the versions of packages, without what says how torch was built."""
    constriction()
    return {name: version(name).partition("+")[0] for name in ("pyrovae", *SAME)}


def read(content: bytes, folder: Path) -> tuple[Header, np.ndarray]:
    """Return header and message of a file that the run in `folder` can decode; raises `InputError` for another one."""
    header, message = _parsed(content)
    own = signature(folder)
    for what, digest in own.items():
        if header.run.get(what) != digest:
            raise InputError(
                f"decompress: expected a file that was compressed by {folder}, got one by a run of other {what}, with"
                f" SHA-256 {str(header.run.get(what))[:12]}..., not {digest[:12]}..."
            )
    for name, here in versions().items():
        if name in SAME and header.versions.get(name) != here:
            raise InputError(
                f"decompress: expected a file of {name} {here}, which is installed here, got one of"
                f" {header.versions.get(name)}, whose numbers may differ; install that"
            )
    return header, message


def _parsed(content: bytes) -> tuple[Header, np.ndarray]:
    if not content.startswith(MAGIC):
        raise InputError("decompress: expected a file of pyrovae compress, got another, or one of another version")
    if _crc32(content[:-4]) != content[-4:]:
        raise InputError("decompress: expected a whole file, got one that is damaged or cut off, by its CRC-32")
    line, _, message = content[len(MAGIC) : -4].partition(b"\n")
    try:
        header = Header(**json.loads(line))
        counts = [getattr(header, field.name) for field in fields(Header) if field.type is int]
        if not all(isinstance(each, dict) for each in (header.run, header.versions)):
            raise ValueError
        if not all(type(count) is int and 0 <= count < 2**32 for count in counts) or not 2 <= header.values <= 2**16:
            raise ValueError
        words = np.frombuffer(message, "<u4").astype(np.uint32)
        if not (len(words) >= header.start >= 2 and words[-1] and header.images):
            raise ValueError
    except (TypeError, ValueError):
        raise InputError("decompress: expected a header with the numbers of a file, got a damaged one") from None
    return header, words


def _crc32(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")

"""Digests by which a run folder shows that its files are those that its training wrote."""

import hashlib
import json
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pyrovae.errors import InputError
from pyrovae.runs.files import expect_own

CONFIG = "config.toml"
DIGESTED = (CONFIG, "metrics.jsonl", "model.safetensors", "checkpoint.pt", "progress.safetensors")
# Settings that say where a run works, not what it is.
MAY_MOVE = {"dataset", "data_dir", "device", "threads", "save_minutes"}


def digests_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a training, in hexadecimal.

    That of config.toml is one of its settings, without those that say where data and device are: they may change when
    a run moves.
    """
    return {name: _digest(folder, name) for name in DIGESTED if (folder / name).exists()}


def expect_digest(folder: Path, name: str, digests: Mapping[str, str]) -> None:
    """Raise `InputError` if a file that `digests` names is another than when they were written."""
    if name in digests and _digest(folder, name) != digests[name]:
        raise InputError(
            f"run: expected {name} in {folder} as its training wrote it (by the SHA-256 in summary.json), got another:"
            " it is damaged, or of another training; --trust opens it all the same"
        )


def expect_sound_archive(path: Path) -> None:
    """Raise ValueError if a part of a file that torch has saved does not agree with its checksum.

    Such a file is a zip archive with a CRC-32 of each part, which `torch.load` does not read.
    """
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed parts, which torch does not write")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"a part {damaged!r} that does not agree with its checksum")


def _digest(folder: Path, name: str) -> str:
    with expect_own(folder, name).open("rb") as file:
        if name != CONFIG:
            return hashlib.file_digest(file, "sha256").hexdigest()
        settings = tomllib.load(file)
    lasting = {key: value for key, value in settings.items() if key not in MAY_MOVE}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()

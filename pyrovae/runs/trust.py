"""Restrict what a run folder may make pyrovae do, because anyone may have written it.

A config may name classes of the user's own, which are code, and data on disk. The code is run only if the user names
the class again on the command line. Data outside the folder are read only if the user names them again, or if the user
made the run. To recognise that, the config is signed by an HMAC with a key that stays among the user's own files.
"""

import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pyrovae.config.settings import CLASSES, PLACES, Config
from pyrovae.config.values import FILES
from pyrovae.errors import InputError
from pyrovae.runs.files import expect_own, write_whole

SIGNATURE = ".signature"


def check_classes(config: Config, repeated: Iterable[str], where: Path) -> None:
    """Raise `InputError` if the config names a class of the user's own and its setting is not `repeated`."""
    for name in CLASSES:
        value = getattr(config, name)
        if ":" in value and name not in repeated:
            raise InputError(
                f"{name}: expected --{name} {value} beside {where}, which names this class: its code is run only if you"
                " repeat it; got none"
            )


def check_places(config: Config, repeated: Iterable[str], folder: Path) -> None:
    """Raise `InputError` if the config names data outside the folder, unless they are `repeated` or it is signed.

    Data inside the folder may not be links to data outside.
    """
    for name in PLACES:
        place = _place(name, getattr(config, name))
        if place is None or name in repeated or is_signed(folder):
            continue
        if _is_inside(place, folder):
            _check_inside(place, folder)
            continue
        flag = name.replace("_", "-")
        raise InputError(
            f"{name}: expected --{flag} {getattr(config, name)} beside {folder}, which names this place outside itself"
            " and was not made by you here; got none"
        )


def _check_inside(place: Path, folder: Path) -> None:
    """Raise `InputError` if something in a place inside a run folder is a link to outside of that folder."""
    for parent, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            if os.path.islink(path) and not _is_inside(path, folder):
                raise InputError(
                    f"dataset: expected images in {folder} itself, as you did not make it here, got a link at {path};"
                    " name them by --dataset if you trust them"
                )


def _is_inside(path: Path | str, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))  # unlike resolve, follows any loop


def to_repeat(config: Config) -> dict[str, Any]:
    """Return the settings that another user must repeat to open a run of this config: own classes, and data on disk."""
    classes = {name: getattr(config, name) for name in CLASSES if ":" in getattr(config, name)}
    return classes | {name: str(getattr(config, name)) for name in PLACES if _place(name, getattr(config, name))}


def repeat(config: Config, repeated: Mapping[str, object], where: Path) -> Config:
    """Return the config with classes and places as the user repeats them.

    A class of the user's own, and data on disk, may have moved. Raises `InputError` for any other change.
    """
    for name, value in repeated.items():
        written = getattr(config, name)
        if str(value) != str(written) and not (name == "data_dir" or _may_have_moved(name, str(written), str(value))):
            raise InputError(f"{name}: expected {written}, as {where} has it, got {value}")
    return config.replace(**repeated)


def _may_have_moved(name: str, written: str, value: str) -> bool:
    """Whether both values are classes of the user's own, or both datasets on disk of the same kind (npz or folder)."""
    kinds = [text.partition(":")[0] if name == "dataset" else True for text in (written, value)]
    return ":" in written and ":" in value and kinds[0] == kinds[1]


def sign(folder: Path) -> None:
    """Sign the config of a run folder as this user's, if it names a place of data; otherwise remove the signature."""
    config = (folder / "config.toml").read_bytes()
    names_place = any(_place(name, getattr(Config.from_toml(config.decode()), name)) for name in PLACES)
    if names_place and (key := _key(make=True)):
        write_whole(folder / SIGNATURE, _signature(key, config))
    else:
        (folder / SIGNATURE).unlink(missing_ok=True)


def is_signed(folder: Path) -> bool:
    """Whether this user signed the config as it is now."""
    key, path = _key(make=False), expect_own(folder, SIGNATURE)
    if key is None or not path.exists():
        return False
    config = expect_own(folder, "config.toml").read_bytes()
    return hmac.compare_digest(path.read_bytes(), _signature(key, config).encode())


def _place(name: str, value: Path | str | None) -> Path | None:
    """The path that a setting of `PLACES` names; None for data that are known by name."""
    if name == "data_dir":
        return None if value is None else Path(value)
    kind, _, path = str(value).partition(":")
    return Path(path).expanduser() if path and kind in FILES else None


def _signature(key: bytes, config: bytes) -> str:
    return hmac.new(key, config, "sha256").hexdigest()


def _key(make: bool) -> bytes | None:
    """Read the user's key from ~/.local/share/pyrovae/key; None if there is none, or it cannot be read or made."""
    folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "pyrovae"
    path, new = folder / "key", folder / f".key.{secrets.token_hex(8)}"
    try:
        if make and not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            new.touch(0o600)
            new.write_bytes(secrets.token_bytes(32))
            try:
                os.link(new, path)  # so that the key is whole from the start; another process may have been faster
            except FileExistsError:
                pass
            finally:
                new.unlink()
        return path.read_bytes()
    except OSError:
        return None

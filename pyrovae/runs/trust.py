"""What a run folder may name, as it may come from anybody: itself. All else its user repeats.

A class of one's own is code, and code is named on the command line alone. Data elsewhere are read if the run was made
by this user, which a signature of its config tells: an HMAC, by a key that never leaves the user's own files.
"""

import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyrovae.config.settings import CLASSES, PLACES, Config
from pyrovae.errors import InputError
from pyrovae.runs.files import write_whole

SIGNATURE = ".signature"


def check_classes(config: Config, repeated: Iterable[str], where: Path) -> None:
    """Refuse classes of one's own that are not repeated."""
    for name in CLASSES:
        value = getattr(config, name)
        if ":" in value and name not in repeated:
            raise InputError(
                f"{name}: expected --{name} {value} beside {where}, which names this class: its code is run only if you"
                " repeat it; got none"
            )


def check_places(config: Config, repeated: Iterable[str], folder: Path) -> None:
    """Refuse a place of data outside a run folder that is neither repeated nor this user's own run's."""
    for name in PLACES:
        place = _place(name, getattr(config, name))
        if place is None or name in repeated or place.resolve().is_relative_to(folder.resolve()) or is_signed(folder):
            continue
        flag = name.replace("_", "-")
        raise InputError(
            f"{name}: expected --{flag} {getattr(config, name)} beside {folder}, which names this place outside itself"
            " and was not made by you here; got none"
        )


def check_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse files of a run that are links to somewhere else: they would be read, or written to."""
    for name in names:
        path = folder / name
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"run: expected {name} in {folder} itself, got a link to {path.resolve()}")


def named(config: Config) -> dict[str, str]:
    """The classes of one's own and the places that a config names, to be repeated to its run."""
    classes = {name: getattr(config, name) for name in CLASSES if ":" in getattr(config, name)}
    return classes | {name: str(getattr(config, name)) for name in PLACES if _place(name, getattr(config, name))}


def repeat(config: Config, repeated: Mapping[str, str], where: Path) -> Config:
    """`config` with classes and places as its user repeats them; anything else must be as it is there."""
    for name, value in repeated.items():
        held = getattr(config, name)
        if str(value) != str(held) and not (name == "data_dir" or _both_own(name, str(held), str(value))):
            raise InputError(f"{name}: expected {held}, as {where} has it, got {value}")
    return config.replace(**repeated)


def _both_own(name: str, held: str, value: str) -> bool:
    """Whether both are classes of one's own, which may have been moved, or places of the same kind."""
    kinds = [text.partition(":")[0] if name == "dataset" else True for text in (held, value)]
    return ":" in held and ":" in value and kinds[0] == kinds[1]


def sign(folder: Path) -> None:
    """Say that the config of this run folder is this user's, if it names a place."""
    config = (folder / "config.toml").read_bytes()
    names_place = any(_place(name, getattr(Config.from_toml(config.decode()), name)) for name in PLACES)
    if names_place and (key := _key(make=True)):
        write_whole(folder / SIGNATURE, _signature(key, config))
    else:
        (folder / SIGNATURE).unlink(missing_ok=True)


def is_signed(folder: Path) -> bool:
    key, path = _key(make=False), folder / SIGNATURE
    if key is None or not path.is_file():
        return False
    return hmac.compare_digest(path.read_bytes(), _signature(key, (folder / "config.toml").read_bytes()).encode())


def _place(name: str, value: Path | str | None) -> Path | None:
    if name == "data_dir":
        return None if value is None else Path(value)
    kind, _, path = str(value).partition(":")
    return Path(path).expanduser() if path and kind in ("folder", "npz") else None


def _signature(key: bytes, config: bytes) -> str:
    return hmac.new(key, config, "sha256").hexdigest()


def _key(make: bool) -> bytes | None:
    """The user's own, from ~/.local/share/pyrovae/key; None where there is none, or no place for one."""
    folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "pyrovae"
    path, new = folder / "key", folder / f".key.{secrets.token_hex(8)}"
    try:
        if make and not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            new.touch(0o600)
            new.write_bytes(secrets.token_bytes(32))
            try:
                os.link(new, path)  # whole at once; another process may have been faster
            except FileExistsError:
                pass
            finally:
                new.unlink()
        return path.read_bytes()
    except OSError:
        return None

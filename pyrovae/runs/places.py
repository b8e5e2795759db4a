"""Finds the data of a run that was made in another working directory."""

import warnings
from pathlib import Path

from pyrovae.config.settings import PLACES, Config


def located(config: Config, folder: Path) -> Config:
    """Return the config with relative places of data as they are found: here, or else from a parent of the run folder.

    A run is mostly made in a folder above its own, and its places are relative to that. A warning says what is found
    elsewhere than here.
    """
    places: dict[str, str] = {}
    for name in PLACES:
        text = str(getattr(config, name) or "")
        kind, _, rest = text.partition(":") if name == "dataset" else ("", "", text)
        place = Path(rest)
        if not rest or place.is_absolute() or rest.startswith("~") or place.exists():
            continue
        parents = (parent / place for parent in folder.resolve().parents)
        if (elsewhere := next((path for path in parents if path.exists()), None)) is not None:
            places[name] = f"{kind}:{elsewhere}" if kind else str(elsewhere)
            warnings.warn(f"{name}: {place} is not here, and is read from {elsewhere}", stacklevel=3)
    return config.replace(**places) if places else config

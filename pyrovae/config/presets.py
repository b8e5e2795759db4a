"""Read the presets: named experiments, each a TOML file in the folder presets/."""

from importlib import resources

from pyrovae.errors import one_of


def presets() -> dict[str, str]:
    """Return all presets as name -> TOML text. The first line of each is a comment that says what it shows."""
    folder = resources.files("pyrovae.config") / "presets"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in sorted(files, key=lambda entry: entry.name)
    }


def preset(name: str) -> str:
    """Return the TOML text of a preset; raise `InputError` for an unknown name."""
    known = presets()
    return known[one_of("preset", name, known)]

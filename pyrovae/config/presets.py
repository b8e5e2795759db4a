"""The presets: experiments by name, each a TOML file in the folder beside this one."""

from importlib import resources

from pyrovae.errors import one_of


def presets() -> dict[str, str]:
    """The named experiments: name -> TOML, whose first line is a comment that says what it shows."""
    folder = resources.files("pyrovae.config") / "presets"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {entry.name.removesuffix(".toml"): entry.read_text() for entry in sorted(files, key=lambda e: e.name)}


def preset(name: str) -> str:
    """The TOML of one preset."""
    known = presets()
    return known[one_of("preset", name, known)]

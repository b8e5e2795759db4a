"""Defaults that depend on other settings."""

from collections.abc import Mapping

LAYERED = ("hierarchical", "stacked")  # the programs with several codes
FOLLOWERS = ("activation", "prior", "latent_dim", "objective", "likelihood")  # the settings whose default does


def following(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the defaults that `program`, `gradient`, `network`, `condition` and `pixels` replace, and by what."""
    follow: dict[str, object] = {}
    if str(settings.get("program")) == "discrete" and settings.get("gradient") not in ("score_function", "enumeration"):
        follow["objective"] = "analytic"
    if str(settings.get("program")) in LAYERED:
        follow["latent_dim"] = (10, 2)
    if str(settings.get("network")) == "conv":
        follow["activation"] = "tanh"
    if str(settings.get("condition")).startswith("quadrant"):
        follow["prior"] = "conditional"
    if str(settings.get("pixels")) == "columns":
        follow["likelihood"] = "columns"
    return follow


def free_to_follow(settings: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Drop settings that follow others if they have their default, so that they follow a change of those."""
    defaults = {name: defaults[name] for name in FOLLOWERS} | following(settings)
    return {
        name: value
        for name, value in settings.items()
        if name not in defaults or (tuple(value) if isinstance(value, list) else value) != defaults[name]
    }

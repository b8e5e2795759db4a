"""Complete the names of presets, components and figures, and file names, in the shell."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from click import Context, Parameter

import pyrovae
from pyrovae.config.presets import presets
from pyrovae.config.settings import Config
from pyrovae.config.values import CONDITIONS

PACKAGE = Path(pyrovae.__file__).parent
Complete = Callable[[Context, Parameter, str], list[str]]

FAMILIES = {  # setting -> the module and the dict that names its values
    "dataset": ("pyrovae.data.sources", "DATASETS"),
    "program": ("pyrovae.programs", "PROGRAMS"),
    "network": ("pyrovae.parts.networks", "NETWORKS"),
    "activation": ("pyrovae.parts.networks", "ACTIVATIONS"),
    "likelihood": ("pyrovae.parts.likelihoods", "LIKELIHOODS"),
    "prior": ("pyrovae.parts.priors", "PRIORS"),
    "posterior": ("pyrovae.parts.posteriors", "POSTERIORS"),
    "missingness": ("pyrovae.parts.missingness", "MISSINGNESS"),
    "objective": ("pyrovae.inference.objectives", "OBJECTIVES"),
}


def names_in(module: str, registry: str) -> list[str]:
    """Read the keys of a dict from a file's source, because importing the file would take seconds for torch."""
    place = PACKAGE.joinpath(*module.split(".")[1:])
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    names: list[str] = []
    for node in tree.body:
        target = getattr(node, "target", None) or getattr(node, "targets", [None])[0]
        if getattr(target, "id", None) != registry or not isinstance(members := getattr(node, "value", None), ast.Dict):
            continue
        for key, value in zip(members.keys, members.values):
            if isinstance(key, ast.Constant):
                names.append(str(key.value))
            elif isinstance(value, ast.Name) and (source := imported.get(value.id)):  # {**OTHERS}
                names += names_in(source, value.id)
    return names


def choices(name: str) -> list[str]:
    """Return the named values of a setting."""
    if name in FAMILIES:
        return names_in(*FAMILIES[name])
    if name == "device":
        return ["auto", "cpu", "cuda"]
    if name == "condition":
        return [*CONDITIONS]
    field = Config.model_fields.get(name)
    return [choice for choice in get_args(field.annotation) if isinstance(choice, str)] if field else []


def of_setting(_: Context, param: Parameter, typed: str) -> list[str]:
    """Complete the value of a setting; if the flag takes a list, complete what follows the last comma."""
    head, comma, last = typed.rpartition(",") if getattr(param, "multiple", False) else ("", "", typed)
    return [head + comma + name for name in choices(param.name or "") if name.startswith(last)]


def of(names: Callable[[], Any]) -> Complete:
    """Return a function that completes one of these names."""
    return lambda _ctx, _param, typed: [name for name in names() if name.startswith(typed)]


of_preset = of(presets)
of_figure = of(lambda: names_in("pyrovae.figures", "FIGURES"))

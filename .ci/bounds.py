"""Print the lower bounds of pyproject.toml as exact versions, a line each: what `.ci/oldest` installs."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
    name, bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups()
    if name not in ("ruff", "mypy"):  # checks of the code, which the newest version does
        print(f"{name}=={bound}")

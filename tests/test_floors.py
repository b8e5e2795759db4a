"""The rooms of the package stand on floors, and an import goes down: read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = [  # from the ground up; rooms of one floor do not import each other, but for those named below
    {"errors", "display"},
    {"config", "inference", "parts"},
    {"program", "data"},
    {"vae"},
    {"programs", "evaluation"},
    {"training", "figures"},
    {"runs", "explain"},
    {"pages"},
    {"cli"},
]
ACROSS = {("inference", "config"), ("programs", "data")}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in the file."""
    module, found = module_of(path), set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            found.add(".".join([*parts, *([node.module] if node.module else [])]))
    return {name.removeprefix("pyrovae.") for name in found if name.split(".")[0] in ("pyrovae", "cli")}


FILES = [
    path
    for folder in ("pyrovae", "cli")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not path.is_relative_to(ROOT / "pyrovae" / "cli")
]
ARROWS = {(module_of(path).removeprefix("pyrovae."), name) for path in FILES for name in imports_of(path)}
print(len(FILES))
for a, b in sorted(ARROWS):
    ra, rb = a.split(".")[0], b.split(".")[0]
    if ra in FLOOR and rb in FLOOR and ra != rb and not FLOOR[ra] > FLOOR[rb]:
        print(a, "->", b)
    if ra not in FLOOR or rb not in FLOOR:
        print("?", a, b)

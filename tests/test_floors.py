"""The rooms of the package stand on floors, and an import goes down: read from the source of every file."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builders import ROOT

FLOORS = (  # from the ground up; a room imports rooms of lower floors only
    {"errors", "display"},
    {"config", "inference", "parts"},
    {"program", "data"},
    {"vae"},
    {"programs", "evaluation"},
    {"training", "figures"},
    {"runs", "explain"},
    {"pages"},
    {"commands"},
    {"cli"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ACROSS = {("inference.device", "config.values")}  # one list of devices, stated with the settings
ENTRIES = {"__init__.py", "__main__.py", "py.typed"}


def files() -> Iterator[tuple[str, Path]]:
    """Every file of the package by its module, without the first name: `cli.train`, `runs.files`."""
    for folder in ("pyrovae", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.is_relative_to(ROOT / "pyrovae" / "cli"):
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("pyrovae."), path


def imports(module: str, path: Path) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in the file an import stands."""
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            start = [*(["pyrovae"] if node.level else []), *above, *([node.module] if node.module else [])]
            names = [".".join([*start, alias.name]) for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("pyrovae.") for name in names if name.startswith("pyrovae."))


ARROWS = sorted({(module, name) for module, path in files() for name in imports(module, path)})


def room(module: str) -> str:
    return module.split(".")[0]


def test_every_room_has_its_floor():
    assert {room(module) for module, _ in files()} - {"__init__", "__main__"} <= FLOOR.keys()


def test_imports_go_down():
    wrong = [
        f"{module} -> {name}"
        for module, name in ARROWS
        if room(module) in FLOOR and room(name) in FLOOR and room(module) != room(name)
        if FLOOR[room(module)] <= FLOOR[room(name)] and not any(module == a and name.startswith(b) for a, b in ACROSS)
    ]
    assert not wrong


def test_no_file_imports_itself_by_way_of_others():
    """Within a room, too: the files of the package can be put in an order in which each imports earlier ones only."""
    modules = {module.removesuffix(".__init__") for module, _ in files()}
    edges: dict[str, set[str]] = {module: set() for module in modules}
    for module, name in ARROWS:
        target = name if name in modules else name.rpartition(".")[0]
        if target in modules and not module.endswith("__init__"):
            edges[module.removesuffix(".__init__")].add(target)
    while edges:
        free = {module for module, needs in edges.items() if not (needs & edges.keys()) - {module}}
        assert free, f"circles among {sorted(edges)}"
        edges = {module: needs for module, needs in edges.items() if module not in free}


def test_the_top_of_the_package_can_be_taken_in_at_a_look():
    entries = {path.name for path in (ROOT / "pyrovae").iterdir()} - {"__pycache__", "cli"}
    assert len(entries - ENTRIES) <= 16


@pytest.mark.parametrize("package", ["config", "runs"])
def test_rooms_that_the_help_needs_import_nothing_at_their_head(package):
    tree = ast.parse((ROOT / "pyrovae" / package / "__init__.py").read_text(encoding="utf-8"))
    heads = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [name for name in heads if name.startswith("pyrovae")]


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["sweep", "--help"], ["list", "presets"]])
def test_help_imports_no_torch(arguments):
    """These commands answer fast, because they import only what they need."""
    code = f"""
import sys
from pyrovae.cli import main
try:
    main({arguments})
finally:
    print([name for name in ("torch", "pyro", "matplotlib", "numpy") if name in sys.modules], file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (result.returncode, result.stderr) == (0, "[]\n")
    assert result.stdout


# Only the pages of the programs themselves ask for the parts of a VAE, or name its sites; all others ask a program for
# its sites. These are no exceptions: they name arguments of the explorer's decoder, and arrays in files.
PARTS = {"encoder", "decoder", "prior", "posterior", "likelihood"}
PAGES_OF_THE_VAE = ("vae", "program", "programs", "explain", "parts", "cli.explain", "cli.bench.rows")
NO_PARTS = {"pages.explorer.samples": 3, "data.layouts": 1}


def names_a_part(node: ast.AST) -> bool:
    """Whether a node is `vae.prior`, or the like, or the name of a site as a text."""
    if isinstance(node, ast.Attribute):
        return node.attr in PARTS and "vae" in ast.unparse(node.value)
    return isinstance(node, ast.Constant) and node.value in ("z", "x")


def test_no_other_file_comes_to_know_what_a_vae_is_made_of():
    counts = {
        module: sum(map(names_a_part, ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
        for module, path in files()
        if not any(module == page or module.startswith(f"{page}.") for page in PAGES_OF_THE_VAE)
    }
    assert {module: count for module, count in counts.items() if count} == NO_PARTS

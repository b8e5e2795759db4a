"""Private and unstable names of torch and Pyro: each exists, and only `pyrovae/inference/private.py` names them."""

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path

import pyro
import pytest
import torch
from support.builders import ROOT

import pyrovae

DOOR = ROOT / "pyrovae" / "inference" / "private.py"
UNSTABLE = ("torch.fx.experimental", "pyro.distributions.util")  # documented nowhere, or as subject to change
FOREIGN = ("torch", "pyro")
NO_SECRET = {"_exit", "_replace"}  # of os and of named tuples: documented in spite of their names


def is_private(name):
    """Return whether a dotted name of torch or Pyro has a private part, or lies in an unstable module."""
    parts = name.split(".")
    private = any(part.startswith("_") and not part.startswith("__") for part in parts)
    return parts[0] in FOREIGN and (private or any(f"{name}.".startswith(f"{module}.") for module in UNSTABLE))


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def chain(node):
    """Return `a.b.c` for an attribute of an attribute of a name; None for an attribute of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    before = chain(node.value) if isinstance(node, ast.Attribute) else None
    return None if before is None else f"{before}.{node.attr}"


def aliases(tree):
    """Return the local names of what a file imports from torch and Pyro, with the full names behind them."""
    full = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full |= {alias.asname: alias.name for alias in node.names if alias.asname}
            full |= {alias.name.split(".")[0]: alias.name.split(".")[0] for alias in node.names if not alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            full |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):  # aten = torch.ops.aten
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (name := chain(node.value)):
            root, _, rest = name.partition(".")
            if root in full and rest:
                full[node.targets[0].id] = f"{full[root]}.{rest}"
    return full


def foreign_names(path):
    """Yield each name of torch and Pyro in a file, with the number of its line: imports, attributes and strings."""
    tree = parsed(path)
    full = aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Attribute) and (name := chain(node)):
            root, _, rest = name.partition(".")
            yield f"{full.get(root, root)}.{rest}", node.lineno
        elif isinstance(node, ast.Constant) and re.fullmatch(r"(torch|pyro)(\.\w+)+", str(node.value)):
            yield node.value, node.lineno


def longest(names):
    """Leave out names that others begin with: `torch._C` beside `torch._C._functorch`."""
    return sorted(name for name in names if not any(other.startswith(f"{name}.") for other in names))


def elsewhere():
    """Return the table `ELSEWHERE` of the file, read without importing it."""
    tables = [node for node in parsed(DOOR).body if isinstance(node, ast.Assign) and node.targets[0].id == "ELSEWHERE"]
    return ast.literal_eval(tables[0].value)


NAMED = longest({name for name, _ in foreign_names(DOOR) if is_private(name)} | set(elsewhere()))


@pytest.mark.parametrize("name", NAMED)
def test_every_private_name_exists(name):
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        break
    for part in parts[length:]:
        value = getattr(value, part, None)
        if value is None:
            break
    assert value is not None, (
        f"{name} is missing in torch {torch.__version__} and pyro {pyro.__version__}: look up in the release notes what"
        " replaces it, and change pyrovae/inference/private.py"
    )


def test_every_way_of_naming_is_understood():
    """Otherwise the test above would pass by checking nothing."""
    names = {"torch._foreach_norm", "torch.ops.aten._linalg_check_errors.default", "torch._inductor.compile"}
    names |= {"pyro.distributions.util.scale_and_mask", "torch.fx.experimental.proxy_tensor.make_fx"}
    names |= {"torch._C._functorch._set_vmap_fallback_warning_enabled", "torch._decomp.get_decompositions"}
    assert names <= set(NAMED)


def test_private_attributes_of_objects_exist():
    from pyrovae.inference import private

    assert private.is_mutable(torch.ops.aten.normal_.default)
    assert not private.is_mutable(torch.ops.aten.bernoulli.default)
    q = torch.distributions.MultivariateNormal(torch.zeros(4, 2), scale_tril=torch.eye(2))
    assert private.unbroadcasted(q, "scale_tril").shape == (2, 2)
    q = torch.distributions.LowRankMultivariateNormal(torch.zeros(4, 2), torch.ones(2, 1), torch.ones(2))
    assert private.unbroadcasted(q, "cov_factor").shape == (2, 1)
    assert private.unbroadcasted(q, "cov_diag").shape == (2,)


def test_a_fused_optimizer_reads_found_inf():
    from pyrovae.inference.private import set_found_inf

    parameter = torch.nn.Parameter(torch.ones(3))
    optim = torch.optim.Adam([parameter], lr=0.1, fused=True)
    parameter.grad = torch.ones(3)
    set_found_inf(optim, torch.ones(()))
    optim.step()
    assert parameter.tolist() == [1.0, 1.0, 1.0]
    set_found_inf(optim, torch.zeros(()))
    optim.step()
    assert parameter.tolist() == pytest.approx([0.9, 0.9, 0.9])


def files():
    """Yield the files of pyrovae/ and cli/ except the one that may name what is private."""
    for folder in ("pyrovae", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != DOOR and not path.is_relative_to(ROOT / "pyrovae" / "cli"):
                yield path


# Files that name private things themselves, and why.
EXCEPTIONS = {
    ("pyrovae/parts/priors/exemplar.py", "torch.fx.experimental.proxy_tensor"): "parts must not import inference",
}


def test_no_other_file_names_what_is_private():
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files()
        for name, line in foreign_names(path)
        if is_private(name) and (path.relative_to(ROOT).as_posix(), name) not in EXCEPTIONS
    ]
    assert not wrong, f"import these from pyrovae/inference/private.py, which says what each is for: {wrong}"


def test_every_exception_is_needed():
    names = {(path.relative_to(ROOT).as_posix(), name) for path in files() for name, _ in foreign_names(path)}
    assert names >= EXCEPTIONS.keys()


def test_private_attributes_are_our_own_or_those_of_a_base_class():
    """An attribute `x._name` is defined in pyrovae, or is in `ELSEWHERE` and belongs to `self`, `cls` or `super()`."""
    nodes = [(path, node) for path in files() for node in ast.walk(parsed(path))]
    defined = {node.name for _, node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    defined |= {node.attr for _, node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    defined |= {node.id for _, node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    inherited = {name.rpartition(".")[2] for name in elsewhere()}
    wrong = []
    for path, node in nodes:
        if not isinstance(node, ast.Attribute) or not re.match("_[^_]", node.attr) or node.attr in NO_SECRET:
            continue
        ours = ast.unparse(node.value) in ("self", "super()", "cls")
        if not (node.attr in inherited and ours) and not (node.attr in defined and node.attr not in inherited):
            wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not wrong


def test_every_override_of_a_private_method_is_in_the_table():
    """And every name in the table is one that some file of pyrovae overrides or uses."""
    table = {name.rpartition(".")[2] for name in elsewhere()}
    overridden = set()
    for module in pkgutil.walk_packages(pyrovae.__path__, "pyrovae."):
        if module.name.startswith(("pyrovae.cli", "pyrovae.__main__")):
            continue
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind.__module__.startswith("pyrovae."):
                bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] in FOREIGN]
                private = [name for name in vars(kind) if re.match("_[^_]", name) and not name.startswith("_abc_")]
                overridden |= {name for name in private if any(name in vars(base) for base in bases)}
    assert overridden <= table
    text = "\n".join(Path(path).read_text(encoding="utf-8") for path in files())
    assert not [name for name in table if not re.search(rf"\b{name}\b", text)]

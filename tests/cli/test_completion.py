"""What the shell completes, asked as bash asks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from support.builders import ROOT

from pyrovae.cli import COMMANDS, cli
from pyrovae.cli.completion import FAMILIES, names_in
from pyrovae.cli.list import KINDS
from pyrovae.config.presets import presets
from pyrovae.figures import FIGURES

README = (ROOT / "README.md").read_text()


def completed(line):
    """What bash is told at the end of this line."""
    complete = BashComplete(cli, {}, "pyrovae", "_PYROVAE_COMPLETE")
    *words, typed = line.split(" ")[1:]
    return [complete.format_completion(item).split(",", 1) for item in complete.get_completions(words, typed)]


def names(line):
    found = completed(line)
    assert all(kind == "plain" for kind, _ in found)
    return [name for _, name in found]


@pytest.mark.parametrize(("family", "place"), FAMILIES.items())
def test_a_family_completes_to_all_its_members_without_importing_them(family, place):
    module, registry = place
    members = [*getattr(__import__(module, fromlist=[registry]), registry)]
    assert names(f"pyrovae train --{family} ") == members == names_in(module, registry)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pyrovae ", [*COMMANDS]),
        ("pyrovae tr", ["train"]),
        ("pyrovae train --free", ["--free-bits"]),
        ("pyrovae train --pixels s", ["static", "standardized"]),
        ("pyrovae train --prior vamp --objective d", ["dreg"]),
        ("pyrovae train --device ", ["auto", "cpu", "cuda"]),
        ("pyrovae train --epochs ", []),
        ("pyrovae train --prior normal,va", []),
        ("pyrovae sweep --prior normal,va", ["normal,vamp"]),
        ("pyrovae train --preset mnist-2", ["mnist-200d", "mnist-2d"]),
        ("pyrovae sweep --preset ", [*presets()]),
        ("pyrovae list ", [*KINDS]),
        ("pyrovae plot results/digits ", [*FIGURES]),
        ("pyrovae plot results/digits latent man", ["manifold"]),
    ],
)
def test_names_complete(line, expected):
    assert names(line) == expected


@pytest.mark.parametrize("line", ["pyrovae evaluate res", "pyrovae compare a b", "pyrovae train --out res"])
def test_run_folders_are_left_to_the_shell(line):
    assert completed(line) == [["file", line.split(" ")[-1]]]


def test_torch_is_not_imported_to_complete():
    code = (
        "import sys; from pyrovae.cli.completion import FAMILIES, choices, of_figure; "
        "[choices(name) for name in FAMILIES]; of_figure(None, None, ''); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_takes_the_line_of_the_readme():
    """In a bash of its own, with the function that click writes: it fills in the only command that begins so."""
    (line,) = [line for line in README.splitlines() if "_COMPLETE=" in line]
    script = f"""{line}
        COMP_WORDS=(pyrovae train --prior vam); COMP_CWORD=3
        _pyrovae_completion pyrovae; echo "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.stdout.strip() == "vamp", done.stderr

"""What the README says is run, and compared with the code."""

import re
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from pyrovae.cli import COMMANDS, cli
from pyrovae.likelihoods import LIKELIHOODS
from pyrovae.networks import NETWORKS
from pyrovae.objectives import OBJECTIVES
from pyrovae.posteriors import POSTERIORS
from pyrovae.priors import PRIORS
from pyrovae.sources import DATASETS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MODEL, API, SOFT, RING = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_model_is_the_one_in_vae():
    for method in MODEL.strip().split("\n\n\n"):
        assert textwrap.indent(method, "    ") in (ROOT / "pyrovae" / "vae.py").read_text()


def test_the_python_example_runs(capsys):
    names = {}
    exec(API, names)
    assert names["images"].shape == (10, 1, 8, 8)
    assert names["codes"].shape == (5, 2)
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "text", "flags"),
    [
        ("soft.py", SOFT, "--likelihood soft.py:SoftLaplace"),
        ("ring.py", RING, "--prior ring.py:Ring --components 20"),
    ],
)
def test_the_classes_of_the_examples_train(name, text, flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    arguments = f"train {flags} --epochs 2 --device cpu --out run".split()
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    assert (tmp_path / "run" / "figures" / "samples.png").exists()
    assert flags in README


def test_every_command_of_the_readme_exists():
    commands = re.findall(r"^pyrovae (\w+)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE)
    assert set(commands) == set(COMMANDS)


def test_every_flag_of_the_readme_exists():
    flags = set(re.findall(r"--[a-z][a-z-]+", README))
    known = {option for name in COMMANDS for p in _command(name).params for option in p.opts}
    assert flags <= known | {"--help"}


def _command(name):
    return cli.get_command(None, name)


@pytest.mark.parametrize("registry", [DATASETS, NETWORKS, LIKELIHOODS, PRIORS, POSTERIORS, OBJECTIVES])
def test_every_member_is_in_the_readme(registry):
    for name in registry:
        assert f"`{name}`" in README

"""What the README says is run, and compared with the code."""

import re
import textwrap
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from pyrovae.cli import COMMANDS, cli
from pyrovae.likelihoods import LIKELIHOODS
from pyrovae.networks import NETWORKS
from pyrovae.objectives import OBJECTIVES
from pyrovae.posteriors import POSTERIORS
from pyrovae.priors import PRIORS
from pyrovae.sources import DATASETS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MODEL, API, SOFT, RING, STEP = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


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


def test_a_program_of_ones_own_takes_the_compiled_step():
    loc, log_scale = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def model(x, y):
        slope = pyro.sample("slope", dist.Normal(0.0, 10.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(slope * x, 0.1), obs=y)

    def guide(x, y):
        pyro.sample("slope", dist.Normal(loc, log_scale.exp()))

    x = torch.linspace(-1, 1, 50)
    names = {"torch": torch, "model": model, "guide": guide, "parameters": [loc, log_scale], "x": x, "y": 2 * x}
    exec(STEP, names)
    for _ in range(800):
        names["svi"].step(x, 2 * x)
    assert loc.item() == pytest.approx(2, abs=0.1)


def test_every_command_of_the_readme_exists():
    commands = re.findall(r"^pyrovae (\w+)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE)
    assert set(commands) == set(COMMANDS)


def test_every_flag_of_the_readme_exists():
    flags = set(re.findall(r"--[a-z][a-z-]+", README))
    known = {option for name in COMMANDS for p in _command(name).params for option in p.opts}
    assert flags <= known | {"--help", "--nproc-per-node"}  # the last is torchrun's


def _command(name):
    return cli.get_command(None, name)


@pytest.mark.parametrize("registry", [DATASETS, NETWORKS, LIKELIHOODS, PRIORS, POSTERIORS, OBJECTIVES])
def test_every_member_is_in_the_readme(registry):
    for name in registry:
        assert f"`{name}`" in README

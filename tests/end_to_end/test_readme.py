"""Runs what the README says, and compares it with the code."""

import doctest
import importlib
import pkgutil
import re
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from support.builders import ROOT
from torch import nn

import pyrovae
from pyrovae.cli import COMMANDS, cli
from pyrovae.data.sources import DATASETS
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.missingness import MISSINGNESS
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.programs import PROGRAMS

README = (ROOT / "README.md").read_text(encoding="utf-8")
MODEL, API, CALLS, IN_HAND, ESTIMATOR, SOFT, RING, BRIGHT, STEP = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_model_is_the_one_in_vae():
    for method in MODEL.strip().split("\n\n\n"):
        assert textwrap.indent(method, "    ") in (ROOT / "pyrovae" / "vae.py").read_text(encoding="utf-8")


def test_the_python_example_runs(capsys):
    names = {}
    exec(API, names)
    assert names["images"].shape == (10, 1, 8, 8)
    assert names["codes"].shape == (5, 2)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_program_of_ones_own_takes_the_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(BRIGHT.strip().splitlines()) < 40
    Path("bright.py").write_text(BRIGHT, encoding="utf-8")
    own = "--program bright.py:Bright"
    train, evaluate, explore = re.findall(rf"^(pyrovae .*{own}[^#\n]*)", README, re.MULTILINE)
    for line in (f"{train} --epochs 12", evaluate.replace("1000", "100"), explore, "pyrovae report results/bright"):
        result = CliRunner().invoke(cli, line.split()[1:])
        assert result.exit_code == 0, result.output
    run = pyrovae.Run("results/bright", program="bright.py:Bright")
    first, *_, last = run.metrics
    assert last["test"]["loss"] < first["test"]["loss"]
    assert [*last["test"]["sites"]] == ["z", "brightness"]
    assert -last["test"]["loss"] < run.evaluation["log_likelihood"]
    with pytest.raises(pyrovae.InputError, match="its code is run only if you repeat it"):
        _ = pyrovae.Run("results/bright").vae


@pytest.mark.filterwarnings("ignore:epoch .* the posterior collapses")  # few epochs
def test_the_commands_for_programs_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = (text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "--program mixture" in text)
    for line in block.splitlines():
        arguments = shlex.split(line, comments=True)[1:]
        if arguments[0] == "train":
            arguments = [*arguments, "--epochs", "3", "--hidden", "16"]
        if "--pretraining" in arguments:
            arguments = [*arguments, "--pretraining", "1"]
        if arguments[0] == "gradients":
            arguments = [*arguments, "--draws", "5"]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "few.png").exists()


@pytest.mark.filterwarnings("ignore:epoch .* the posterior collapses")  # two epochs are few
def test_the_calls_that_do_what_commands_do_run(here, capsys):
    names = {"config": pyrovae.Config(dataset="digits", condition="label", epochs=2)}
    shortened = CALLS.replace("samples=5000", "samples=50").replace('"epochs": 2', '"epochs": 1')
    exec(shortened, names)
    assert names["run"].summary["final"]["epoch"] == 2
    assert names["run"].evaluation["samples"] == 50
    assert [row["loss"]["n"] for row in names["table"]["rows"]] == [2, 2]
    assert capsys.readouterr().out == ""


def test_data_in_hand_are_trained_on(capsys):
    names = {}
    exec(IN_HAND, names)
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert len(names["data"].train) == 240
    assert names["vae"].reconstruct(names["x"][:5, None]).shape == (5, 1, 8, 8)
    exec(ESTIMATOR, names)
    assert names["codes"].shape == (300, 3)


@pytest.mark.parametrize(
    ("name", "text", "flags"),
    [
        ("soft.py", SOFT, "--likelihood soft.py:SoftLaplace"),
        ("ring.py", RING, "--prior ring.py:Ring --components 20"),
    ],
)
def test_the_classes_of_the_examples_train(name, text, flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text, encoding="utf-8")
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


def test_the_commands_run_one_after_the_other(tmp_path, monkeypatch, data_dir, in_this_process):
    """Run the commands of the README for fewer epochs, sweeps in this process; `bench` has tests of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYROVAE_DATA", str(data_dir))
    (block,) = (text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "pyrovae compare" in text)
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    assert {arguments[0] for arguments in commands} == {*COMMANDS} - {"impute", "compress", "decompress"}
    for arguments in commands:
        if arguments[0] == "bench":
            continue
        shortened = [*arguments, "--epochs", "2"] if arguments[0] in ("train", "sweep") else arguments
        if "--resume" in arguments:
            shortened[-1] = "3"
        result = CliRunner().invoke(cli, shortened, catch_exceptions=False)
        assert result.exit_code == 0, arguments
    assert (tmp_path / "sevens.png").exists()
    assert (tmp_path / "compare.png").exists()
    assert (tmp_path / "plates.png").exists()
    assert (tmp_path / "both.html").exists()
    assert (tmp_path / "results/mine/explore.html").exists()


def test_images_of_ones_own_train_as_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = (text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "folder:photos" in text)
    generator = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(6):
        photo = generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / f"photos/{i}.jpg")
    np.savez(tmp_path / "images.npz", images=generator.integers(0, 256, (20, 8, 8), dtype=np.uint8))
    rows = np.c_[generator.integers(0, 256, (20, 784)), np.arange(20) % 10]
    names = ",".join([*map(str, range(784)), "digit"])
    np.savetxt(tmp_path / "images.csv", rows, fmt="%d", delimiter=",", header=names, comments="")
    for line in block.splitlines():
        arguments = [*shlex.split(line, comments=True)[1:], "--epochs", "1"]
        assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0


@pytest.mark.filterwarnings("ignore:dataset. ")
def test_a_table_with_gaps_trains_and_is_imputed_as_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = (text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "csv:table.csv" in text)
    rows = np.random.default_rng(0).normal(size=(50, 3))
    rows[::4, 1] = np.nan
    kinds = ["a", "b"] * 25
    lines = [",".join([*("" if v != v else str(v) for v in row), kind]) for row, kind in zip(rows.tolist(), kinds)]
    (tmp_path / "table.csv").write_text("\n".join(["x,w,z,kind", *lines, ""]), encoding="utf-8")
    for line in block.splitlines():
        arguments = shlex.split(line, comments=True)[1:]
        shortened = [*arguments, "--epochs", "1"] if arguments[0] == "train" else arguments
        assert CliRunner().invoke(cli, shortened, catch_exceptions=False).exit_code == 0
    whole = (tmp_path / "whole.csv").read_text(encoding="utf-8").splitlines()
    assert whole[0] == "draw,x,w,z"
    given = (tmp_path / "given.csv").read_text(encoding="utf-8").splitlines()
    assert (given[0], len(given), given[1].startswith("0.5,b,")) == ("z,kind,x,w", 101, True)
    assert len(whole) == 1 + 20 * 50
    assert ",," not in "".join(whole)


def test_the_examples_in_docstrings_run():
    """The examples use the public names, as after `from pyrovae import *`."""
    names = {name: getattr(pyrovae, name) for name in pyrovae.__all__} | {"torch": torch}
    module_infos = [
        module for module in pkgutil.walk_packages(pyrovae.__path__, "pyrovae.") if "__main__" not in module.name
    ]
    modules = [importlib.import_module(module.name) for module in module_infos]
    results = [doctest.testmod(module, extraglobs=names) for module in modules]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 12


@pytest.mark.parametrize("name", [name for name in pyrovae.__all__ if name != "__version__"])
def test_every_public_name_has_an_example(name):
    assert ">>> " in getattr(pyrovae, name).__doc__


def test_every_command_of_the_readme_exists():
    commands = re.findall(r"^pyrovae (\w+)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE)
    assert set(commands) == set(COMMANDS)


def test_every_flag_of_the_readme_exists():
    flags = set(re.findall(r"--[a-z][a-z-]+", README))
    known = {option for name in COMMANDS for p in _command(name).params for option in p.opts}
    assert flags <= known | {"--help", "--nproc-per-node"}  # the last is torchrun's


def _command(name):
    return cli.get_command(None, name)


@pytest.mark.parametrize(
    "registry", [DATASETS, PROGRAMS, NETWORKS, LIKELIHOODS, PRIORS, POSTERIORS, MISSINGNESS, OBJECTIVES]
)
def test_every_member_is_in_the_readme(registry):
    for name in registry:
        assert f"`{name}`" in README

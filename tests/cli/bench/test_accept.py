"""`pyrovae bench --accept` says of each of a GPU's targets whether it is met."""

import json

import pytest
import torch

from pyrovae.cli import main
from pyrovae.cli.bench.accept import ACCEPTED, accept

CPU = torch.device("cpu")
MET = {"pyro": 0.02, "torch": 0.4, "numpyro": 0.9, "training": 5.5, "busy": 0.77, "tests": 0.0}
MISSED = {"pyro": 0.021, "torch": 0.6, "numpyro": 1.1, "training": 6.1, "busy": 0.5, "tests": 1.0}


def test_the_targets_are_those_of_an_h200():
    bounds = {name: target.bound for name, target in ACCEPTED.items()}
    assert bounds == {"pyro": 0.02, "torch": 0.5, "numpyro": 1.0, "training": 6.0, "busy": 0.77, "tests": 0.0}


def test_all_targets_are_met(tmp_path, capsys):
    assert accept(MET, CPU, tmp_path)
    assert capsys.readouterr().out.count("pass") == len(MET)
    (path,) = tmp_path.glob("accept-*.json")
    assert {row["target"]: row["measured"] for row in json.loads(path.read_text())["targets"]} == MET


@pytest.mark.parametrize("name", MET)
@pytest.mark.parametrize("value", [None, float("nan"), "jax is not installed"])
def test_one_target_is_missed_or_not_measured(name, value, tmp_path, capsys):
    assert not accept(MET | {name: MISSED[name] if value is None else value}, CPU, tmp_path)
    printed = capsys.readouterr().out
    assert (printed.count("pass"), printed.count("fail")) == (len(MET) - 1, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--device cuda", "device: expected cpu or one of this machine's 0 CUDA devices, got 'cuda'"),
        ("", "accept: expected a CUDA device, as all targets are of a GPU, got cpu"),
        ("--rows torch", "accept: expected without --rows, as the targets are of one task"),
        ("--batch-size 64", "accept: expected without --batch-size, as the targets are of one task"),
    ],
)
def test_bad_input_is_told_in_one_line(flags, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "--accept", *flags.split()])
    assert capsys.readouterr().err == f"pyrovae: {message}\n"

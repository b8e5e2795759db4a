"""Runs that are trained as one batched program end as they would alone."""

import shutil

import pytest
from support.commands import pyrovae
from support.sweeps import TINY

from pyrovae import InputError, Run
from pyrovae.runs import evaluating


def test_runs_trained_as_one_program_are_those_of_a_sweep(here, in_this_process, capsys):
    settings = f"--lr 0.001,0.01 --latent-dim 2,3 --epochs 2 --jobs 2 {TINY}"
    assert pyrovae(f"sweep {settings} --out apart") == 0
    assert pyrovae(f"sweep {settings} --out batched --batched") == 0
    assert "4 to do, 2 at a time, 4 of them in batched programs" in capsys.readouterr().out
    for path in (here / "apart").glob("*/config.toml"):
        apart, batched = Run(path.parent), Run(here / "batched" / path.parent.name)
        assert batched.summary["best"]["test"] == pytest.approx(apart.summary["best"]["test"], rel=1e-4)
        assert batched.config == apart.config


def test_runs_trained_as_one_program_go_on_from_where_each_was(here, in_this_process, capsys):
    settings = f"--seed 0,1,2,3 --jobs 1 --batched {TINY}"
    assert pyrovae(f"sweep {settings} --epochs 3 --out whole") == 0
    shutil.copytree(here / "whole", here / "broken")
    for seed in range(4):
        run = Run(here / "broken" / f"seed={seed}")
        assert (
            pyrovae(f"train --out {run.path} --force --seed {seed} --epochs {1 + seed % 2} --hidden 8 --device cpu")
            == 0
        )
        (run.path / "summary.json").unlink()
        (run.path / "config.toml").write_text(run.config.replace(epochs=3).to_toml())
    capsys.readouterr()
    assert pyrovae(f"sweep {settings} --epochs 3 --out broken") == 0
    assert "4 to do, 1 at a time, 4 of them in batched programs" in capsys.readouterr().out
    for seed in range(4):
        whole, broken = (Run(here / name / f"seed={seed}") for name in ("whole", "broken"))
        assert [record["epoch"] for record in broken.metrics] == [1, 2, 3]
        assert broken.summary["best"]["test"] == pytest.approx(whole.summary["best"]["test"], rel=1e-4)


def test_one_of_several_trained_as_one_program_that_fails_leaves_the_others(here, in_this_process, capsys):
    line = "sweep --lr 0.001,1e20 --seed 0,1 --jobs 1 --epochs 2 --evaluate 5 --batched --out sweep"
    assert pyrovae(f"{line} {TINY}") == 1
    told = capsys.readouterr()
    assert [line.partition(" failed: ")[0] for line in told.err.splitlines() if line.startswith("pyrovae: lr")] == [
        "pyrovae: lr=1e+20,seed=0",
        "pyrovae: lr=1e+20,seed=1",
    ]
    for seed in (0, 1):
        assert Run(here / "sweep" / f"lr=0.001,seed={seed}").evaluation["samples"] == 5


def test_runs_trained_as_one_program_are_not_done_before_they_are_evaluated(here, in_this_process, monkeypatch, capsys):
    def broken(*_, **__):
        raise InputError("no estimate")

    line = f"sweep --seed 0,1 --jobs 1 --epochs 1 --evaluate 5 --batched --out sweep {TINY}"
    with monkeypatch.context() as patch:
        patch.setattr(evaluating, "log_likelihoods", broken)
        assert pyrovae(line) == 1
    told = capsys.readouterr().err
    assert [f"pyrovae: seed={seed} failed: no estimate" in told for seed in (0, 1)] == [True, True]
    assert pyrovae(line) == 0
    assert [Run(here / "sweep" / f"seed={seed}").evaluation["samples"] for seed in (0, 1)] == [5, 5]

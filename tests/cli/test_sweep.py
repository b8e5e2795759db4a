"""`pyrovae sweep`: what it refuses, and what it prints."""

import json
import re
import statistics

import pytest
from support.commands import listing, metrics, pyrovae
from support.sweeps import TINY

from pyrovae import Run

BAD_INPUT = [
    ("", "sweep: expected two or more values of some setting, .* got one run"),
    ("--latent-dim 2 --seed 3", "sweep: expected two or more values of some setting, .* got one run"),
    ("--latent-dim ,", "latent_dim: expected one or more values, as 2,10,50, got ','"),
    ("--latent-dim ''", "latent_dim: expected one or more values, as 2,10,50, got ''"),
    ("--latent-dim 2,", "latent_dim: expected one or more values, as 2,10,50, got '2,'"),
    ("--hidden '8;;9'", "hidden: expected one or more values, as 128,128;512,256, got '8;;9'"),
    ("--latent-dim 2,3,02", "sweep: expected each combination once, got latent_dim=2,seed=0 twice"),
    ("--latent-dim 2 --latent-dim 2", "sweep: expected each combination once, got latent_dim=2,seed=0 twice"),
    ("--latent-dim 2,x", "latent_dim: expected a valid integer, .* got 'x'"),
    ("--latnet-dim 2,3", "unknown flag --latnet-dim; did you mean '--latent-dim'"),
    ("--device cpu,cuda", "device: expected one value for all runs, got 'cpu,cuda'"),
    ("--seed 0,1 --threads 1,2", "threads: expected one value for all runs, got '1,2'"),
    ("--seed 0,1 --jobs 0", "jobs: expected a whole number from 1 to .*, got '0'"),
    ("--seed 0,1 --evaluate 0", "evaluate: expected a whole number from 1 to .*, got '0'"),
    ("--seed 0,1 --preset digit", "preset: expected one of .* did you mean 'digits'"),
    ("--seed 0,1 --dataset mnits", "dataset: expected one of .* did you mean 'mnist'"),
    ("--warmup 0,5 --cycle 5", "cycle: expected warmup from 1 to cycle beside it, got warmup = 0"),
    ("--likelihood bernoulli,gaussian --pixels dynamic", "likelihood=gaussian: pixels: .* got 'dynamic'"),
    ("--objective elbo,iwae", "objective=iwae: particles: objective 'iwae' expects 2 or more"),
    ("--posterior diagonal,delta --evaluate 9", "posterior=delta: evaluate: expected a posterior that is a density"),
    ("--seed 0,1 --out file", "out: expected a folder at file, got a file"),
    ("--seed 0,1 --out 'sweep/latent_dim=2,seed=0'", "out: expected a folder of runs at .*, got a run"),
    (
        "--latent-dim 2,3 --epochs 4 --hidden 8 --out sweep",
        "expected runs with epochs 4 in sweep, got 3 in latent_dim=2",
    ),
    (
        "--latent-dim 4,5 --epochs 3 --hidden 9 --out sweep",
        "expected runs with hidden 9 in sweep, got 8 in latent_dim=2",
    ),
]


@pytest.mark.parametrize(("line", "expected"), BAD_INPUT, ids=[line for line, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_starts_nothing(line, expected, swept, here, capsys):
    (here / "file").touch()
    before = listing(here)
    assert pyrovae(f"sweep {line}") == 2
    error = capsys.readouterr().err
    assert error.startswith("pyrovae: ")
    assert error.count("\n") == 1
    assert re.search(expected, error)
    assert listing(here) == before


def test_a_sweep_called_again_only_shows_its_table(swept, capsys):
    before = {path: state for path, state in listing(swept).items() if "seed=" in str(path)}
    assert pyrovae(f"sweep --seed 0,1 --latent-dim 2 --latent-dim 3 --epochs 3 --out sweep {TINY}") == 0
    assert {path: state for path, state in listing(swept).items() if "seed=" in str(path)} == before
    table = capsys.readouterr().out
    assert "4 done, 0 to do" in table
    header = next(line for line in table.splitlines() if "latent_dim" in line and "loss" in line)
    names = [cell.strip() for cell in re.split("[┃│|]", header)]
    assert names == ["", "latent_dim", "seeds", "loss", "reconstruction", "KL", "", ""]
    losses = [Run(swept / f"latent_dim=2,seed={seed}").summary["best"]["test"]["loss"] for seed in (0, 1)]
    assert f"{statistics.mean(losses):.2f} ± {statistics.stdev(losses):.2f}" in table
    assert table.count("best") == 1


def test_a_sweep_of_protocols_is_not_ranked(here, in_this_process, capsys):
    line = f"sweep --pixels grey,static --epochs 1 --out sweep {TINY}"
    assert pyrovae(line) == 0
    shown = capsys.readouterr().out
    assert "not ranked" in shown
    assert "pixels grey (pixels=grey,seed=0), static (pixels=static,seed=0)" in shown
    content = json.loads((here / "sweep/sweep.json").read_text())
    assert content["best"] is None
    assert content["protocol"] is None
    assert {path.name for path in (here / "sweep/figures").iterdir()} == {"sweep.png"}


def test_a_run_that_fails_does_not_end_the_others(here, capsys):
    assert pyrovae(f"sweep --lr 1e30,0.01 --epochs 2 --jobs 2 --out sweep {TINY}") == 1
    shown = capsys.readouterr()
    assert re.fullmatch(
        r"pyrovae: lr=1e\+30,seed=0 failed: epoch 1, step 2: expected a finite loss, got .*\n", shown.err
    )
    content = json.loads((here / "sweep/sweep.json").read_text())
    assert [row["settings"]["lr"] for row in content["rows"]] == [0.01]
    assert list(content["failed"]) == ["lr=1e+30,seed=0"]
    assert len(metrics("sweep/lr=0.01,seed=0")) == 2

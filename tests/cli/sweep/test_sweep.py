"""Sweeps: which runs there are, what their table says, and that neither a kill nor a failure is lost work."""

import json
import math
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import pytest
from PIL import Image
from support.commands import listing, metrics, pyrovae

from pyrovae import Config, InputError, Run
from pyrovae.cli.sweep import worker, workers
from pyrovae.config.grid import combinations
from pyrovae.runs.comparison import best_row, loss_differences, mean_and_sd, over_seeds

TINY = "--hidden 8 --device cpu --no-figures"


class InThisProcess:
    """In place of a worker process: the same work, without waiting for an interpreter."""

    def __init__(self, task, threads):
        self.why = None
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(warnings, "showwarning", warnings.showwarning)  # which it sets
                worker.work(**task)
        except (InputError, FloatingPointError) as error:
            self.why = str(error)
        self.process = SimpleNamespace(poll=lambda: 0)

    def last_words(self):
        return self.why, []


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(workers, "Worker", InThisProcess)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a sweep of two values and two seeds in two processes, one value of which cannot be trained."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert pyrovae(f"sweep --latent-dim 2,3 --seed 0,1 --epochs 3 --jobs 2 --out sweep {TINY}") == 0
    return root / "sweep"


@pytest.fixture
def swept(made, here):
    return shutil.copytree(made, here / "sweep")


# --- which runs ---


def test_every_combination_has_a_config_and_a_name():
    grid = combinations([], {"seed": ("0,1",), "lr": ("1e-2", "0.1"), "latent_dim": ("3",), "hidden": ("8,8; 16",)})
    assert grid.swept == ("hidden", "lr")  # in the order of the fields, whatever that of the flags
    assert [*grid.configs] == [
        f"hidden={hidden},lr={lr},seed={seed}" for hidden in ("8-8", "16") for lr in (0.01, 0.1) for seed in (0, 1)
    ]
    assert grid.configs["hidden=8-8,lr=0.1,seed=1"] == Config(hidden=(8, 8), lr=0.1, seed=1, latent_dim=3)


def test_flags_go_over_toml_and_what_follows_from_them_follows():
    grid = combinations(["latent_dim = 7\nepochs = 3"], {"network": ("mlp,conv",), "epochs": ("4",)})
    assert [config.activation for config in grid.configs.values()] == ["relu", "tanh"]
    assert {(config.latent_dim, config.epochs) for config in grid.configs.values()} == {(7, 4)}


def test_a_name_is_the_name_of_one_folder():
    grid = combinations([], {"likelihood": ("my/soft.py:Soft,bernoulli",)})
    assert [*grid.configs] == ["likelihood=my-soft.py-Soft,seed=0", "likelihood=bernoulli,seed=0"]


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
    ("--seed 0,1 --jobs 0", "jobs: expected a whole number from 1 to .*, got '0'"),
    ("--seed 0,1 --evaluate 0", "evaluate: expected a whole number from 1 to .*, got '0'"),
    ("--seed 0,1 --preset digit", "preset: expected one of .* did you mean 'digits'"),
    ("--seed 0,1 --dataset mnits", "dataset: expected one of .* did you mean 'mnist'"),
    ("--warmup 0,5 --cycle 5", "cycle: expected warmup from 1 to cycle beside it, got warmup = 0"),
    ("--likelihood bernoulli,gaussian --pixels dynamic", "likelihood=gaussian: pixels: .* got 'dynamic'"),
    ("--objective elbo,iwae", "objective=iwae: particles: objective 'iwae' expects 2 or more"),
    ("--posterior diagonal,delta --evaluate 9", "posterior=delta: evaluate: expected a posterior that is a density"),
    ("--seed 0,1 --out file", "out: expected a folder that can be written at file/seed=0, got: Not a directory"),
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


# --- what comes of them ---


def test_mean_and_standard_deviation_by_hand():
    assert mean_and_sd([1.0, 2.0, 6.0]) == {"mean": 3.0, "sd": math.sqrt(7), "n": 3, "values": [1.0, 2.0, 6.0]}
    assert mean_and_sd([4]) == {"mean": 4.0, "sd": None, "n": 1, "values": [4]}


def test_a_sweep_leaves_runs_a_table_and_two_figures(made):
    content = json.loads((made / "sweep.json").read_text())
    assert content["swept"] == {"latent_dim": [2, 3], "seed": [0, 1]}
    assert content["protocol"]["pixels"] == "grey"
    assert content["failed"] == {}
    for latent_dim, row in zip((2, 3), content["rows"]):
        runs = [Run(made / f"latent_dim={latent_dim},seed={seed}") for seed in (0, 1)]
        assert row["settings"] == {"latent_dim": latent_dim}
        assert row["runs"] == [run.path.name for run in runs]
        for key in ("loss", "reconstruction", "kl"):
            values = [run.metrics[-1]["test"][key] for run in runs]
            assert row[key]["values"] == values
            assert row[key]["mean"] == pytest.approx(sum(values) / 2)
            assert row[key]["sd"] == pytest.approx(abs(values[0] - values[1]) / math.sqrt(2))
        assert [(run.config.latent_dim, run.config.seed) for run in runs] == [(latent_dim, 0), (latent_dim, 1)]
    assert content["best"] == min((0, 1), key=lambda i: content["rows"][i]["loss"]["mean"])
    for name in ("sweep", "rate_distortion"):
        with Image.open(made / f"figures/{name}.png") as picture:
            assert min(picture.size) > 400


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


def test_more_seeds_and_values_join_a_sweep(swept, in_this_process, capsys):
    assert pyrovae(f"sweep --seed 0,1,2 --latent-dim 2,4 --epochs 3 --out sweep {TINY}") == 0
    assert "6 runs in sweep: 2 done, 4 to do" in capsys.readouterr().out
    rows = json.loads((swept / "sweep.json").read_text())["rows"]
    assert [(row["settings"]["latent_dim"], row["loss"]["n"]) for row in rows] == [(2, 3), (4, 3)]


def test_force_replaces_runs_of_other_settings_alone(swept, in_this_process, capsys):
    shutil.copytree(swept / "latent_dim=3,seed=0", swept / "other")
    line = f"sweep --latent-dim 2,3 --seed 0,1 --epochs 3 --out sweep --force {TINY}"
    text = (swept / "latent_dim=2,seed=1/config.toml").read_text()
    (swept / "latent_dim=2,seed=1/config.toml").write_text(text.replace("epochs = 3", "epochs = 2"))
    assert pyrovae(line) == 0
    assert "3 done, 1 to do" in capsys.readouterr().out
    assert len(Run(swept / "latent_dim=2,seed=1").metrics) == 3


def test_workers_evaluate_and_draw(here, in_this_process, capsys):
    line = "sweep --seed 0,1 --epochs 1 --hidden 8 --device cpu --out sweep"
    assert pyrovae(f"{line} --no-figures") == 0
    before = metrics("sweep/seed=0")
    assert pyrovae(f"{line} --evaluate 20") == 0  # what is missing is added
    assert metrics("sweep/seed=0") == before
    assert {"losses.png", "samples.png"} <= {path.name for path in (here / "sweep/seed=1/figures").iterdir()}
    (row,) = json.loads((here / "sweep/sweep.json").read_text())["rows"]
    assert row["samples"] == 20
    assert row["log_likelihood"]["values"] == [Run(f"sweep/seed={s}").evaluation["log_likelihood"] for s in (0, 1)]
    assert row["active_units"]["n"] == 2
    table = capsys.readouterr().out
    assert "log p(x): K = 20, 359 images" in table
    assert "active units" in table


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


def test_autoencoders_have_no_rate(here, in_this_process):
    assert pyrovae(f"sweep --seed 0,1 --posterior delta --epochs 1 --out sweep {TINY}") == 0
    assert {path.name for path in (here / "sweep/figures").iterdir()} == {"sweep.png"}


# --- failures and kills ---


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


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def epochs_in(folder):
    return sum(path.read_text().count("\n") for path in folder.glob("*/metrics.jsonl"))


def rests(folder):
    before = epochs_in(folder)
    time.sleep(1.0)
    return epochs_in(folder) == before


def test_a_sweep_goes_on_after_ctrl_c_and_after_a_kill_and_equals_one_that_was_left_alone(here, monkeypatch, capsys):
    line, out = f"--latent-dim 2 --epochs 300 {TINY}", here / "sweep"
    started = []

    class Interrupting(workers.Workers):
        def step(self):
            if epochs_in(out) > 2:
                raise KeyboardInterrupt
            started.extend(worker.process for worker in self.running.values())
            return super().step()

    with monkeypatch.context() as patch:
        patch.setattr("pyrovae.cli.sweep.run.Workers", Interrupting)
        assert pyrovae(f"sweep {line} --seed 0,1 --jobs 2 --out sweep") == 130
    assert capsys.readouterr().err.endswith("the same command goes on from the last epochs\n")
    assert all(process.poll() is not None for process in started)
    before = epochs_in(out)
    command = [
        sys.executable,
        "-m",
        "pyrovae",
        "sweep",
        *line.split(),
        "--seed",
        "0,1",
        "--jobs",
        "2",
        "--out",
        "sweep",
    ]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: epochs_in(out) > before + 2)
        finally:
            process.send_signal(signal.SIGKILL)
    wait_for(lambda: rests(out))  # once the workers see that the sweep is gone
    assert epochs_in(out) < 600
    assert pyrovae(f"sweep {line} --seed 0,1 --jobs 2 --out sweep") == 0
    assert pyrovae(f"train {line.replace('--no-figures', '')} --seed 1 --out alone") == 0
    one, other = metrics("sweep/seed=1"), metrics("alone")
    assert len(one) == len(other) == 300
    assert one[-1]["test"] == pytest.approx(other[-1]["test"], rel=1e-4)


# --- compare ---


def test_runs_trained_together_are_those_of_a_sweep(here, in_this_process, capsys):
    settings = f"--lr 0.001,0.01 --latent-dim 2,3 --epochs 2 --jobs 2 {TINY}"
    assert pyrovae(f"sweep {settings} --out apart") == 0
    assert pyrovae(f"sweep {settings} --out batched --batched") == 0
    assert "4 to do, 2 at a time, 4 of them in batched programs" in capsys.readouterr().out
    for path in (here / "apart").glob("*/config.toml"):
        apart, batched = Run(path.parent), Run(here / "batched" / path.parent.name)
        assert batched.summary["best"]["test"] == pytest.approx(apart.summary["best"]["test"], rel=1e-4)
        assert batched.config == apart.config


def test_runs_trained_together_go_on_from_where_each_was(here, in_this_process, capsys):
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


def test_one_of_several_trained_together_that_fails_leaves_the_others(here, in_this_process, capsys):
    line = "sweep --lr 0.001,1e20 --seed 0,1 --jobs 1 --epochs 2 --evaluate 5 --batched --out sweep"
    assert pyrovae(f"{line} {TINY}") == 1
    told = capsys.readouterr()
    assert [line.partition(" failed: ")[0] for line in told.err.splitlines() if line.startswith("pyrovae: lr")] == [
        "pyrovae: lr=1e+20,seed=0",
        "pyrovae: lr=1e+20,seed=1",
    ]
    for seed in (0, 1):
        assert Run(here / "sweep" / f"lr=0.001,seed={seed}").evaluation["samples"] == 5


def test_runs_trained_together_are_not_done_before_they_are_evaluated(here, in_this_process, monkeypatch, capsys):
    def broken(*_, **__):
        raise InputError("no estimate")

    line = f"sweep --seed 0,1 --jobs 1 --epochs 1 --evaluate 5 --batched --out sweep {TINY}"
    with monkeypatch.context() as patch:
        patch.setattr("pyrovae.evaluation.importance.log_likelihoods", broken)
        assert pyrovae(line) == 1
    told = capsys.readouterr().err
    assert [f"pyrovae: seed={seed} failed: no estimate" in told for seed in (0, 1)] == [True, True]
    assert pyrovae(line) == 0
    assert [Run(here / "sweep" / f"seed={seed}").evaluation["samples"] for seed in (0, 1)] == [5, 5]


def test_compare_takes_a_sweep_and_averages_its_seeds(swept, here, capsys):
    assert pyrovae("compare sweep --figure rate_distortion --out a.png") == 0
    whole = capsys.readouterr().out
    paths = " ".join(f"'{path}'" for path in sorted(swept.iterdir()))  # its figures and sweep.json, too
    assert pyrovae(f"compare {paths} --figure rate_distortion --out b.png") == 0
    assert capsys.readouterr().out.replace("b.png", "a.png") == whole
    losses = [Run(swept / f"latent_dim=3,seed={seed}").summary["best"]["test"]["loss"] for seed in (0, 1)]
    assert f"{statistics.mean(losses):.2f} ± {statistics.stdev(losses):.2f}" in whole
    assert whole.count("best") == 1
    with Image.open("a.png") as picture:
        assert min(picture.size) > 400


def edited(path, **changes):
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | changes))


def estimate(swept, name, **changes):
    found = {"log_likelihood": -20.5, "standard_error": 0.25, "samples": 1000, "images": 359} | changes
    edited(swept / name / "evaluation.json", **found)


def test_compare_shows_estimates_and_says_which_do_not_compare(swept, capsys):
    names = [f"latent_dim={d},seed={s}" for d in (2, 3) for s in (0, 1)]
    for name in names:
        estimate(swept, name)
    assert pyrovae("compare sweep") == 0
    shown = capsys.readouterr().out
    assert shown.count("-20.50 ± 0.25") == 4
    assert "-20.50 ± 0.00" in shown  # over the seeds
    assert "not to be compared" not in shown
    estimate(swept, names[3], samples=10)
    assert pyrovae("compare sweep") == 0
    shown = capsys.readouterr().out
    assert (
        f"log p(x) is not to be compared: K 1000 ({', '.join(names[:3])}), 10 ({names[3]})"
        in shown.replace("K 10 ", "K 10 ")
        or f"10 ({names[3]})" in shown
    )
    assert "-20.50 ± 0.00" not in shown


def test_runs_of_other_protocols_are_named(swept):
    runs = [Run(swept / f"latent_dim=2,seed={seed}") for seed in (0, 1)]
    assert loss_differences(runs) == ""
    assert best_row(over_seeds(runs, ["seed"]), runs) is None  # one row has no better
    edited(swept / "latent_dim=2,seed=1/summary.json", loss="reconstruction", protocol="static")
    assert loss_differences(runs) == (
        "pixels grey (latent_dim=2,seed=0), static (latent_dim=2,seed=1); "
        "loss negative ELBO (latent_dim=2,seed=0), reconstruction (latent_dim=2,seed=1)"
    )


def test_compare_draws_no_rate_and_distortion_of_two_protocols(swept, here, capsys):
    edited(swept / "latent_dim=2,seed=1/summary.json", protocol="static")
    assert pyrovae("compare sweep --figure rate_distortion --out a.png") == 2
    assert "figure rate_distortion: expected runs of one protocol, got pixels" in capsys.readouterr().err
    assert not (here / "a.png").exists()
    assert pyrovae("compare sweep --figure rate_distortion") == 2
    assert "expected --out FILE.png" in capsys.readouterr().err


@pytest.mark.parametrize(("version", "said"), [("0.2.0", "0.2.0"), ("1.0.dev3", "1.0.dev3"), (None, "an unknown")])
def test_runs_of_another_version_are_refused(version, said, swept, capsys):
    edited(swept / "latent_dim=2,seed=1/summary.json", versions={} if version is None else {"pyrovae": version})
    before = listing(swept)
    again = f"sweep --latent-dim 2,3 --seed 0,1 --epochs 3 --out sweep {TINY}"
    for line in ("compare sweep", "plot sweep/latent_dim=2,seed=1", again):
        assert pyrovae(line) == 2
        assert f"expected a run of pyrovae 0.1, got one of {said}" in capsys.readouterr().err
    assert listing(swept) == before

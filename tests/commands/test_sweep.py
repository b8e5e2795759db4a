"""A sweep: the files it leaves, and the same by one Python call."""

import json
import math

import pytest
from PIL import Image
from support.commands import metrics, pyrovae
from support.sweeps import TINY

from pyrovae import Config, InputError, Run, sweep
from pyrovae.commands.sweep import grid_of


def test_a_sweep_leaves_runs_a_table_and_two_figures(made_sweep):
    content = json.loads((made_sweep / "sweep.json").read_text())
    assert content["swept"] == {"latent_dim": [2, 3], "seed": [0, 1]}
    assert content["protocol"]["pixels"] == "grey"
    assert content["failed"] == {}
    for latent_dim, row in zip((2, 3), content["rows"]):
        runs = [Run(made_sweep / f"latent_dim={latent_dim},seed={seed}") for seed in (0, 1)]
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
        with Image.open(made_sweep / f"figures/{name}.png") as picture:
            assert min(picture.size) > 400


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


def test_a_row_has_the_accuracy_of_inferred_labels(here, in_this_process):
    settings = {"program": "semi_supervised", "labelled": 300, "seed": [0, 1], "epochs": 1, "hidden": 8}
    (row,) = sweep("sweep", settings, jobs=1, figures=False)["rows"]
    values = [Run(f"sweep/seed={seed}").metrics[-1]["accuracy"] for seed in (0, 1)]
    assert row["accuracy"]["values"] == values
    assert row["accuracy"]["mean"] == pytest.approx(sum(values) / 2)


def test_autoencoders_have_no_rate(here, in_this_process):
    assert pyrovae(f"sweep --seed 0,1 --posterior delta --epochs 1 --out sweep {TINY}") == 0
    assert {path.name for path in (here / "sweep/figures").iterdir()} == {"sweep.png"}


def test_one_call_leaves_the_files_of_the_command(made_sweep, here, in_this_process, capsys):
    settings = {"latent_dim": [2, 3], "seed": [0, 1], "epochs": 3, "hidden": 8, "device": "cpu"}
    table = sweep("sweep", settings, jobs=2, figures=False)
    assert capsys.readouterr().out == ""
    assert [metrics(path.parent) for path in sorted((here / "sweep").glob("*/config.toml"))] == [
        metrics(path.parent) for path in sorted(made_sweep.glob("*/config.toml"))
    ]
    written = json.loads((here / "sweep/sweep.json").read_text(encoding="utf-8"))
    assert written == json.loads((made_sweep / "sweep.json").read_text(encoding="utf-8"))
    assert (written["rows"], written["best"]) == (table["rows"], table["best"])


def test_a_setting_that_only_some_of_the_models_read_is_left_out_of_the_others(here, in_this_process):
    settings = {"prior": ["normal", "mixture"], "objective": ["elbo", "renyi"], "epochs": 1, "hidden": 8}
    sweep("sweep", settings | {"components": 3, "alpha": 0.3, "particles": 2}, jobs=1, figures=False)
    configs = {path.parent.name: Run(path.parent).config for path in (here / "sweep").glob("*/config.toml")}
    assert {name: (config.components, config.alpha) for name, config in configs.items()} == {
        f"prior={prior},objective={objective},seed=0": (components, alpha)
        for prior, components in (("normal", 100), ("mixture", 3))
        for objective, alpha in (("elbo", 0.5), ("renyi", 0.3))
    }
    with pytest.raises(InputError, match="components: expected 100, as no part of this model reads it"):
        sweep("other", {"seed": [0, 1], "components": 3}, jobs=1)
    with pytest.raises(InputError, match=r"prior=normal,components=3: components: expected 100, as no part of this"):
        sweep("other", {"prior": ["normal", "mixture"], "components": [3, 4]}, jobs=1)
    assert not (here / "other").exists()


def test_a_list_holds_values_and_a_tuple_is_one():
    grid = grid_of({"hidden": [(8, 8), (16,)], "lr": 0.1, "seed": [0, 1], "data_dir": None})
    assert [*grid.configs] == [f"hidden={hidden},seed={seed}" for hidden in ("8-8", "16") for seed in (0, 1)]
    assert grid.configs["hidden=8-8,seed=1"] == Config(hidden=(8, 8), lr=0.1, seed=1)


def test_a_run_that_fails_is_named_in_the_table(here, in_this_process):
    settings = {"lr": [1e30], "seed": [0, 1], "hidden": 8, "epochs": 1, "device": "cpu"}
    table = sweep("sweep", settings, figures=False)
    assert table["rows"] == []
    assert all("expected a finite loss" in failure for failure in table["failed"].values())
    assert table["failed"].keys() == {"seed=0", "seed=1"}
    assert not (here / "sweep/sweep.json").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"grid": {"seed": 3}}, "sweep: expected two or more values of some setting"),
        ({"grid": {"seed": [0, 0]}}, "sweep: expected each combination once"),
        ({"grid": {"latnet_dim": [2, 3]}}, "unknown setting 'latnet_dim'; did you mean 'latent_dim'"),
        ({"grid": {"objective": ["elbo", "iwae"]}}, "objective=iwae: particles: objective 'iwae' expects 2 or more"),
        ({"grid": {"seed": [0, 1]}, "jobs": 0}, "jobs: expected 1 or more, got 0"),
        ({"grid": {"seed": [0, 1]}, "evaluate": 0}, "evaluate: expected 1 or more, got 0"),
        ({"grid": {"posterior": ["diagonal", "delta"]}, "evaluate": 9}, "posterior=delta: evaluate: expected"),
    ],
)
def test_bad_calls_are_refused_before_a_folder_is_made(arguments, expected, here):
    with pytest.raises(InputError, match=expected):
        sweep("sweep", **arguments)
    assert not list(here.iterdir())

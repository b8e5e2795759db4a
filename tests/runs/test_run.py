import json
import re
from pathlib import Path

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import InputError, Run, fit
from pyrovae.runs.schema import read


def trained(path, epochs=2, **settings):
    vae, config = small_vae(epochs=epochs, **settings)
    fitting = fit(vae, small_data(pixels=config.pixels), config)
    run = Run.create(path, config)
    for record in fitting:
        run.record(record, fitting)
    run.finish(fitting)
    return run, fitting


@pytest.mark.parametrize("settings", [{}, {"network": "conv"}, {"condition": "label"}, {"posterior": "delta"}])
def test_a_loaded_run_draws_the_same_samples(tmp_path, settings):
    _, fitting = trained(tmp_path, **settings)
    loaded = Run(tmp_path).vae
    y = torch.tensor([0, 1, 2, 0]) if settings.get("condition") else None
    draws = []
    for vae in (fitting.vae, loaded):
        torch.manual_seed(5)
        draws.append(vae.generate(4, y))
    assert torch.equal(*draws)


def test_a_loaded_run_knows_its_pixels_and_classes(tmp_path):
    import dataclasses

    from pyrovae.data.pixels import Pixels

    vae, config = small_vae(pixels="standardized", likelihood="gaussian", epochs=1)
    data = dataclasses.replace(small_data(), pixels=Pixels("standardized", 0.25, 0.5))
    fitting, run = fit(vae, data, config), Run.create(tmp_path, config)
    for record in fitting:
        run.record(record, fitting)
    assert Run(tmp_path).pixels == Pixels("standardized", 0.25, 0.5)
    assert Run(tmp_path).classes == ("a", "b", "c")
    assert Run(tmp_path).config == config


def test_a_run_folder_is_complete(tmp_path):
    run, fitting = trained(tmp_path, epochs=3)
    assert [record["epoch"] for record in run.metrics] == [1, 2, 3]
    assert set(run.metrics[0]) == {"epoch", "seconds", "train", "test", "active_units"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["final"] == summary["best"] == run.metrics[-1]
    assert summary["protocol"] == "grey"
    assert summary["density"] is False
    assert "not a density" in summary["note"]
    assert summary["parameters"] == sum(p.numel() for p in fitting.vae.parameters())
    assert list(run.progress) == ["original", "1", "3"]
    assert run.progress["original"].shape == (3, 1, 8, 8)  # one image of each class
    assert not list(tmp_path.glob(".*.part"))


def test_an_autoencoder_says_so(tmp_path):
    run, _ = trained(tmp_path, posterior="delta")
    assert "no KL term" in run.summary["note"]


def test_resuming_goes_on_and_drops_what_the_checkpoint_does_not_know(tmp_path):
    def scores(run):
        return [{k: v for k, v in record.items() if k != "seconds"} for record in run.metrics]

    whole, _ = trained(tmp_path / "whole", epochs=4)
    vae, config = small_vae(epochs=2)
    fitting, run = fit(vae, small_data(pixels=config.pixels), config), Run.create(tmp_path / "torn", config)
    for record in fitting:
        run.record(record, fitting)
    with (run.path / "metrics.jsonl").open("a") as file:  # an epoch whose checkpoint was never written
        file.write(json.dumps(run.metrics[-1] | {"epoch": 3}) + "\n")
    resumed = Run(tmp_path / "torn")
    fitting = fit(small_vae()[0], small_data(), config.replace(epochs=4))
    resumed.resume(fitting, config.replace(epochs=4))
    assert fitting.epoch == 2
    for record in fitting:
        resumed.record(record, fitting)
    assert scores(resumed) == scores(whole)
    assert Run(tmp_path / "torn").config.epochs == 4


def test_weights_are_those_of_the_best_validation_epoch(tmp_path):
    from dataclasses import replace

    vae, config = small_vae(epochs=12, lr=0.05, validation=1)
    data = small_data()
    fitting, run = fit(vae, replace(data, validation=data.test), config), Run.create(tmp_path, config)
    kept = {}
    for record in fitting:
        run.record(record, fitting)
        kept[record["epoch"]] = {k: v.clone() for k, v in vae.state_dict().items()}
    summary = run.finish(fitting)
    best = min(run.metrics, key=lambda record: record["validation"]["loss"])
    assert summary["best"] == best != summary["final"]
    assert "best validation loss" in summary["weights"]
    assert all(torch.equal(v, kept[best["epoch"]][k]) for k, v in run.vae.state_dict().items())


def test_what_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="got nothing"):
        Run(tmp_path / "none")
    with pytest.raises(InputError, match="a folder without one"):
        Run(tmp_path)
    run, _ = trained(tmp_path / "run", epochs=1)
    with pytest.raises(InputError, match="already holds a run; expected --resume, --force or another --out"):
        Run.create(run.path, run.config)
    (run.path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match="expected a sound model"):
        _ = Run(run.path).vae
    (run.path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"expected model\.safetensors .* got none"):
        _ = Run(run.path).vae
    (run.path / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(InputError, match="expected a sound checkpoint"):
        run.resume(fit(small_vae()[0], small_data(), run.config), run.config)


def test_published_results_say_which_preset_makes_their_weights(tmp_path):
    for name, hint in {
        "digits": "leave the weights out: pyrovae train --preset digits makes them",
        "x": "out)",
    }.items():
        with pytest.raises(InputError, match=re.escape(hint)):
            read(tmp_path / name, "model.safetensors", Path.read_text)


def test_force_replaces_a_run_and_only_its_own_files(tmp_path):
    run, _ = trained(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    Run.create(tmp_path, run.config, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "notes.txt"]


def test_a_folder_with_files_of_ones_own_is_not_touched(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.pdf").write_text("mine")
    (tmp_path / "summary.json").write_text("mine too")
    with pytest.raises(InputError, match=r"already holds summary\.json; expected --force"):
        Run.create(tmp_path, small_vae()[1])
    Run.create(tmp_path, small_vae()[1], force=True)
    assert (tmp_path / "figures" / "mine.pdf").read_text() == "mine"


def test_fewer_epochs_than_were_run_are_refused(tmp_path):
    run, fitting = trained(tmp_path, epochs=3)
    with pytest.raises(InputError, match="expected at least the 3 epochs"):
        Run(tmp_path).resume(fitting, run.config.replace(epochs=2))
    assert Run(tmp_path).config.epochs == 3


def test_a_schedule_over_all_epochs_goes_on_with_those_epochs_alone(tmp_path):
    run, fitting = trained(tmp_path, epochs=2, schedule="cosine")
    with pytest.raises(InputError, match="expected the 2 epochs over which schedule 'cosine' runs, got 3"):
        Run(tmp_path).resume(fitting, run.config.replace(epochs=3))
    Run(tmp_path).resume(fitting, run.config)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", b"{junk}\n{junk}\n"),
        ("summary.json", b"{"),
        ("progress.safetensors", b"junk"),
        ("config.toml", b'dataset = "\xe9"'),
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}      "),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    trained(tmp_path)
    (tmp_path / name).write_bytes(content)
    asked = {"model.safetensors": "vae", "config.toml": "config"}.get(name, name.split(".")[0])
    with pytest.raises(InputError, match=f"expected a sound {name} in"):
        getattr(Run(tmp_path), asked)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    run, fitting = trained(tmp_path, epochs=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr("pyrovae.runs.files.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        run.record({"epoch": 3, "seconds": 0.0, "train": {}, "test": {}}, fitting)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*.part"))

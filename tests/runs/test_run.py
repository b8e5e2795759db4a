import json
from dataclasses import replace

import pytest
import torch
from support.builders import small_data, small_vae
from support.runs import trained

from pyrovae import InputError, Run, fit


def test_training_writes_records_summary_and_progress(tmp_path):
    run, fitting = trained(tmp_path, epochs=3)
    assert [record["epoch"] for record in run.metrics] == [1, 2, 3]
    assert set(run.metrics[0]) == {"epoch", "seconds", "train", "test", "active_units"}
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["final"] == summary["best"] == run.metrics[-1]
    assert summary["protocol"] == "grey"
    assert summary["density"] is False
    assert "not a density" in summary["note"]
    assert summary["parameters"] == sum(p.numel() for p in fitting.vae.parameters())
    assert list(run.progress) == ["original", "1", "3"]
    assert run.progress["original"].shape == (3, 1, 8, 8)  # one image of each class
    assert not list(tmp_path.glob(".*.part"))


def test_resuming_equals_an_uninterrupted_run_and_drops_records_after_the_checkpoint(tmp_path):
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


def test_a_missing_existing_or_damaged_run_is_refused(tmp_path):
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

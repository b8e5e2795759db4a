"""A run whose files have changed since its training is refused; --trust opens it."""

import contextlib
import json
import random
import shutil
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.commands import pyrovae
from support.runs import trained

from pyrovae import InputError, Run
from pyrovae.runs.checks import json_of
from pyrovae.runs.digests import DIGESTED, digests_of, expect_sound_archive


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for name, seed in (("run", 0), ("other", 1)):
        trained(root / name, seed=seed)
    return root


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made / "run", tmp_path / "run")


READ = {
    "config.toml": lambda run: run.config,
    "metrics.jsonl": lambda run: run.metrics,
    "model.safetensors": lambda run: run.vae,
    "checkpoint.pt": lambda run: run.checkpoint(torch.device("cpu")),
    "progress.safetensors": lambda run: run.progress,
}


def flip(path, where, bit):
    content = bytearray(path.read_bytes())
    content[where] ^= 1 << bit
    path.write_bytes(content)


def test_every_file_of_a_training_is_digested_and_reads_back(run):
    assert {*Run(run).summary["sha256"]} == {*DIGESTED} == {*READ}
    for read in READ.values():
        read(Run(run))


@pytest.mark.parametrize("name", ["metrics.jsonl", "model.safetensors", "checkpoint.pt", "progress.safetensors"])
def test_any_flipped_bit_is_noticed(name, run):
    sound, chance = (run / name).read_bytes(), random.Random(0)
    for _ in range(30):
        flip(run / name, chance.randrange(len(sound)), chance.randrange(8))
        with pytest.raises(InputError, match=f"{name}|run of pyrovae"):  # the version stands in the metadata of weights
            READ[name](Run(run))
        (run / name).write_bytes(sound)


def test_a_file_of_another_training_is_refused_and_trust_opens_it(made, run):
    for name, read in READ.items():
        if name == "config.toml":
            continue
        shutil.copy(made / "other" / name, run / name)
        with pytest.raises(InputError, match=rf"expected {name} in .* as its training wrote it .*; --trust"):
            read(Run(run))
        read(Run(run, trust=True))


def test_a_config_with_other_settings_is_refused_but_data_and_device_may_move(run):
    text = (run / "config.toml").read_text(encoding="utf-8")
    (run / "config.toml").write_text(text.replace('device = "cpu"', 'device = "auto"'), encoding="utf-8")
    assert Run(run).config.device == "auto"
    (run / "config.toml").write_text(text.replace("beta = 1.0", "beta = 2.0"), encoding="utf-8")
    with pytest.raises(InputError, match=r"expected config.toml in .* as its training wrote it"):
        Run(run).config  # noqa: B018 - reading is what fails
    assert Run(run, trust=True).config.beta == 2


def test_an_evaluation_of_other_weights_is_refused(made, run):
    evaluation = {"log_likelihood": -1.0, "standard_error": None, "samples": 5, "images": 10}
    for name, is_refused in (("run", False), ("other", True)):
        weights = digests_of(made / name)["model.safetensors"]
        (run / "evaluation.json").write_text(json.dumps(evaluation | {"weights": weights}), encoding="utf-8")
        if is_refused:
            with pytest.raises(InputError, match="got one of other weights"):
                Run(run).evaluation  # noqa: B018
        else:
            assert Run(run).evaluation["log_likelihood"] == -1


def test_a_run_of_a_version_without_digests_still_opens(run):
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    del summary["sha256"]
    (run / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    for read in READ.values():
        read(Run(run))


def test_a_flipped_bit_in_the_checkpoint_of_an_unfinished_run_is_refused_or_harmless(run):
    (run / "summary.json").unlink()
    sound, chance, refused = (run / "checkpoint.pt").read_bytes(), random.Random(1), 0
    before = Run(run).checkpoint(torch.device("cpu"))
    for _ in range(60):
        flip(run / "checkpoint.pt", chance.randrange(len(sound)), chance.randrange(8))
        after = None
        with contextlib.suppress(InputError):
            after = Run(run).checkpoint(torch.device("cpu"))
        if after is None:
            refused += 1
        else:
            for part in ("model", "progress"):
                assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in _pairs(before, after, part))
        (run / "checkpoint.pt").write_bytes(sound)
    assert refused > 20


def _pairs(before, after, part):
    assert before[part].keys() == after[part].keys()
    return [(before[part][name], after[part][name]) for name in before[part] if name != "changed"]


def test_an_archive_that_unpacks_to_more_than_it_holds_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    with pytest.raises(ValueError, match="compressed parts"):
        expect_sound_archive(tmp_path / "x.pt")


def test_weights_that_are_not_numbers_give_no_estimate(run, capsys):
    """The run looks unfinished, so that nothing says which weights it had."""
    (run / "summary.json").unlink()
    weights = load_file(run / "model.safetensors")
    metadata = {"pyrovae": json.dumps(Run(run)._about)}
    weights["decoder.body.0.bias"][:] = torch.nan
    save_file(weights, run / "model.safetensors", metadata)
    capsys.readouterr()
    assert pyrovae(["evaluate", str(run), "--samples", "5", "--no-latents", "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        "pyrovae: evaluate: expected a finite log_likelihood of each image, got nan for test image 1"
    )
    assert "log p(x)" in error
    assert error.count("\n") == 1
    assert not (run / "evaluation.json").exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 400, "-" + "1" * 21])
def test_numbers_that_no_file_of_ours_holds_are_refused(number):
    assert json_of('{"a": -1.5e3, "b": 12}') == {"a": -1500, "b": 12}
    with pytest.raises(ValueError, match="the number"):
        json_of(f'{{"a": [{number}]}}')


@pytest.mark.parametrize(
    ("name", "value"), [("loss", 3.0), ("kl", "much"), ("reconstruction", True), ("objective", "low"), ("kl", None)]
)
def test_scores_that_do_not_add_up_or_are_no_numbers_are_refused(name, value, run):
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[0])
    record["test"][name] = value
    (run / "metrics.jsonl").write_text("\n".join([json.dumps(record), *lines[1:], ""]), encoding="utf-8")
    with pytest.raises(InputError, match=r"expected a sound metrics\.jsonl"):
        Run(run).metrics  # noqa: B018


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("model.safetensors", "sample {run}"),
        ("model.safetensors", "evaluate {run} --samples 2 --no-latents --device cpu"),
        ("metrics.jsonl", "plot {run} losses"),
        ("metrics.jsonl", "report {run}"),
        ("checkpoint.pt", "train --resume --out {run} --epochs 3 --no-figures"),
    ],
)
def test_the_commands_refuse_a_changed_file_and_open_it_with_trust(name, line, tmp_path, capsys):
    """The files of another seed are sound, and of the same shapes."""
    for run, seed in (("run", 0), ("other", 1)):
        command = f"train --out {tmp_path / run} --seed {seed} --epochs 2 --hidden 16 --device cpu --no-figures"
        assert pyrovae(command) == 0
    shutil.copy(tmp_path / "other" / name, tmp_path / "run" / name)
    capsys.readouterr()
    line = line.format(run=tmp_path / "run")
    assert pyrovae(line) == 2
    error = capsys.readouterr().err
    assert f"expected {name} in" in error
    assert error.count("\n") == 1
    assert pyrovae(f"{line} --trust") == 0

"""Reads damaged TOML and run folders: each is read or refused in one line, without another error and without hanging.

`pytest tests/robustness/test_fuzz_runs.py --hypothesis-profile thorough` tries fifteen times as many files.
"""

import contextlib
import io
import json
import shutil
import time

import pytest
import safetensors
import tomli_w
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from support.builders import small_fit
from support.commands import pyrovae

from pyrovae import Config, InputError, Run
from pyrovae.runs.reading import read_config, read_evaluation, read_progress, read_records, read_summary

SECONDS = 20  # reading a small file takes less, even on a slow machine
EVALUATION = {
    "log_likelihood": -40.5,
    "standard_error": 0.5,
    "samples": 5,
    "images": 12,
    "latents": {"active_units": 2},
}


CHANGES = {
    "flip": lambda head, tail, extra: head + bytes(a ^ b for a, b in zip(tail, extra)) + tail[len(extra) :],
    "cut": lambda head, tail, extra: head,
    "insert": lambda head, tail, extra: head + extra + tail,
    "delete": lambda head, tail, extra: head + tail[len(extra) ** 2 :],
    "repeat": lambda head, tail, extra: head + tail[: 8 * len(extra)] + tail,
    "digit": lambda head, tail, extra: head + b"%d" % extra[0] + tail[1:],
}
MUTATIONS = st.lists(
    st.tuples(st.sampled_from([*CHANGES]), st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4
)


def mutated(content, mutations):
    """Change the bytes of `content`, one mutation after another; `where` is a place from 0 to 1."""
    for kind, where, extra in mutations:
        at = int(where * max(0, len(content) - 1))
        content = CHANGES[kind](content[:at], content[at:], extra)
    return content


def read_or_refused(read, errors=InputError):
    """Return what `read` returns, or None if it refuses in one line."""
    start, message = time.monotonic(), ""
    try:
        return read()
    except errors as error:
        message = str(error)
    finally:
        assert errors is not InputError or len(message.splitlines()) < 2
        assert time.monotonic() - start < SECONDS


# --- TOML ---

VALID = Config(validation=3, patience=2, data_dir="somewhere", image_size=8).to_toml()
KEYS = st.sampled_from([*Config.model_fields, "seeds", "self", ""]) | st.text(max_size=5)
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.datetimes() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@given(st.text(max_size=200) | MUTATIONS.map(lambda changes: mutated(VALID.encode(), changes).decode(errors="replace")))
@example("a = " + "[" * 100_000)
@example("a = " + "{a = " * 10_000)
@example("epochs = 0x" + "f" * 5000)
@example("\0")
@example("self = 1\ncls = 1")
def test_any_text_is_a_config_or_refused(text):
    config = read_or_refused(lambda: Config.from_toml(text))
    assert config is None or Config.from_toml(config.to_toml()) == config


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_toml_is_a_config_or_refused(settings):
    try:
        text = tomli_w.dumps(settings)
    except (TypeError, ValueError, UnicodeError):
        return
    config = read_or_refused(lambda: Config.from_toml(text))
    assert config is None or Config.from_toml(config.to_toml()) == config


@given(MUTATIONS | st.binary(max_size=100).map(lambda junk: [("cut", 0.0, b"-"), ("insert", 0.0, junk)]))
def test_any_config_file_is_read_or_refused(tmp_path_factory, changes):
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.toml").write_bytes(mutated(VALID.encode(), changes))
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        assert (
            pyrovae(["train", "--config", str(folder / "any.toml"), "--epochs", "0", "--out", str(folder / "no")]) == 2
        )
    assert len(errors.getvalue().splitlines()) == 1
    assert not (folder / "no").exists()


# --- run folders ---


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Make the run folder of a model that is conditioned on labels."""
    fitting = small_fit(condition="label", hidden=(4,))
    run = Run.create(tmp_path_factory.mktemp("sound") / "run", fitting.config)
    for record in fitting:
        run.record(record, fitting)
    run.finish(fitting)
    run.save_evaluation(EVALUATION)
    return run.path


@pytest.fixture(scope="module")
def copied(sound, tmp_path_factory):
    return shutil.copytree(sound, tmp_path_factory.mktemp("copied") / "run")


READERS = {
    "config.toml": lambda run: run.config,
    "metrics.jsonl": lambda run: run.metrics,
    "summary.json": lambda run: run.summary,
    "evaluation.json": lambda run: run.evaluation,
    "progress.safetensors": lambda run: run.progress,
    "checkpoint.pt": lambda run: run.checkpoint(torch.device("cpu")),
    "model.safetensors": lambda run: run.vae,
}


@pytest.mark.parametrize("name", READERS)
@given(changes=MUTATIONS)
def test_any_file_of_a_run_is_read_or_refused(sound, copied, name, changes):
    (copied / name).write_bytes(mutated((sound / name).read_bytes(), changes))
    try:
        read_or_refused(lambda: READERS[name](Run(copied)))
    finally:
        shutil.copy(sound / name, copied)


USED = {  # what the package takes from a file that was read, without checking it again
    read_config: lambda config: config.to_toml(),
    read_records: lambda records: [record["epoch"] + record["test"]["loss"] + record["seconds"] for record in records],
    read_summary: lambda summary: summary["best"]["epoch"] + summary["best"]["test"]["kl"] + summary["images"]["test"],
    read_evaluation: lambda result: result["log_likelihood"] + result["samples"] + len(result.get("latents", {})),
    read_progress: lambda images: [image.shape[3] for image in images.values()],
}
FILES = ["config.toml", "metrics.jsonl", "summary.json", "evaluation.json", "progress.safetensors"]


@pytest.mark.parametrize(("name", "read"), [*zip(FILES, USED)])
@given(changes=MUTATIONS)
def test_the_contents_of_a_file_that_was_read_can_be_used(sound, copied, name, read, changes):
    assert USED[read](read(sound / name))
    (copied / name).write_bytes(mutated((sound / name).read_bytes(), changes))
    try:
        if (content := read_or_refused(lambda: read(copied / name), Exception)) is not None:
            USED[read](content)
    finally:
        shutil.copy(sound / name, copied)


SHAPES = [[1, 8], [1, -8, 8], ["a", 8, 8], [1, 8.5, 8], "188", None, [1, 9, 9]]
METADATA = [
    *(("vae", {"shape": shape}) for shape in SHAPES),
    *(("vae", {"classes": classes}) for classes in (3, None, [], ["a"], ["a", "b", 3])),
    *(("pixels", {"pixels": pixels}) for pixels in (None, [], {"protocol": "grey"}, {"mean": "a"})),
]


@pytest.mark.parametrize(("attribute", "change"), METADATA)
def test_what_a_file_of_weights_says_about_its_images_is_checked(sound, tmp_path, attribute, change):
    run = shutil.copytree(sound, tmp_path / "run")
    with safetensors.safe_open(run / "model.safetensors", "pt") as file:
        about = json.loads(file.metadata()["pyrovae"])
    weights, metadata = load_file(run / "model.safetensors"), {"pyrovae": json.dumps(about | change)}
    save_file(weights, run / "model.safetensors", metadata)
    with pytest.raises(InputError, match=r"^.*expect.*, got.*$"):
        getattr(Run(run), attribute)

"""Names of files, folders and classes in any script and in no script at all: they work to the end, or are refused."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.builders import ROOT
from support.commands import TINY, listing, pyrovae
from support.files import noise, save_image
from support.report import words

from pyrovae import Run, train
from pyrovae.commands.sweep import sweep
from pyrovae.errors import InputError

NO_TEXT = os.fsdecode(b"run-\xe9")  # a name in Latin-1
TRAIN = f"train {TINY} --epochs 1"


def folder_of(path, classes, count=12):
    for i, name in enumerate(classes * count):
        save_image(path / name / f"{i}.png", noise(8, 8))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run with classes in several scripts, and folders of images whose names are no text."""
    root = tmp_path_factory.mktemp("world")
    folder_of(root / "classes", ["猫", "犬", "ant", r"$\foo$", "_b", "قطة"])
    folder_of(root / "odd", ["good", NO_TEXT])
    folder_of(root / f"{NO_TEXT}-data", ["a", "b"])
    for i, name in enumerate([NO_TEXT, "b", "c"] * 8):
        save_image(root / "files" / f"{i}{name}.png", noise(8, 8))
    np.savez(root / "words.npz", images=noise(20, 8, 8), labels=np.array(["ok", NO_TEXT] * 10))
    (root / f"{NO_TEXT}.toml").write_text("epochs = 1", encoding="utf-8")
    (root / f"{NO_TEXT}-cwd").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert pyrovae(f"{TRAIN} --dataset folder:classes --condition label --out run") == 0
    shutil.copytree(root / "run", root / f"{NO_TEXT}-copy")
    return root


@pytest.fixture
def here(world, monkeypatch):
    monkeypatch.chdir(world)
    return world


def test_classes_in_any_script_are_named_on_the_page(here):
    """A warning of matplotlib's would have failed the training, as every warning does in the tests."""
    text = words((here / "run/report.html").read_text(encoding="utf-8"))
    names = Run(here / "run").classes
    assert text.count(", ".join(f"#{names.index(name)} = {name}" for name in sorted("猫犬"))) == 2


REFUSED = [
    (f"{TRAIN} --out {NO_TEXT}", "out: expected a name in UTF-8"),
    (f"{TRAIN} --out {NO_TEXT}/run", "out: expected a name in UTF-8"),
    (f"{TRAIN} --resume --out {NO_TEXT}-copy", "out: expected a name in UTF-8"),
    (f"{TRAIN} --dataset folder:odd", "dataset: a class in odd: expected a name in UTF-8"),
    (f"{TRAIN} --dataset npz:words.npz", "dataset: a class in words.npz: expected a name in UTF-8"),
    (f"{TRAIN} --dataset folder:{NO_TEXT}-data", "dataset: expected a text"),
    (f"{TRAIN} --data-dir {NO_TEXT}-data", "data_dir: expected a text"),
    (f"{TRAIN} --config {NO_TEXT}.toml", "config: expected a name in UTF-8"),
    (f"sweep {TINY} --latent-dim 2,3 --out {NO_TEXT}", "out: expected a name in UTF-8"),
    (f"sweep {TINY} --latent-dim 2,3 --dataset folder:{NO_TEXT}-data", "dataset: expected a text"),
    (
        f"sweep {TINY} --latent-dim 2,3 --dataset folder:odd",
        "latent_dim=2: dataset: a class in odd",
    ),
    (f"compare run --out {NO_TEXT}.png", "out: expected a name in UTF-8"),
    (f"report run --out {NO_TEXT}.html", "out: expected a name in UTF-8"),
    (f"sample run --out {NO_TEXT}.png", "out: expected a name in UTF-8"),
    (f"explore run --out {NO_TEXT}.html", "out: expected a name in UTF-8"),
    (f"plot {NO_TEXT}-copy", "run: expected a name in UTF-8"),
    (f"evaluate {NO_TEXT}-copy", "run: expected a name in UTF-8"),
    (f"report {NO_TEXT}-copy", "runs: expected a name in UTF-8"),
    (f"compare run {NO_TEXT}-copy", "runs: expected a name in UTF-8"),
    (f"explain {NO_TEXT}-copy", "explain: expected a name in UTF-8"),
    (f"explain --figure {NO_TEXT}.png", "figure: expected a name in UTF-8"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=[ascii(line) for line, _ in REFUSED])
def test_names_that_are_no_text_are_refused_before_any_work(line, said, here, capsys):
    before = listing(here)
    assert pyrovae(line) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"pyrovae: {said}")
    assert listing(here) == before


def test_names_that_are_no_text_are_refused_from_python(here):
    before = listing(here)
    for call in (lambda: train(out=NO_TEXT), lambda: Run(NO_TEXT), lambda: sweep(NO_TEXT, {"seed": [0, 1]})):
        with pytest.raises(InputError, match="expected a name in UTF-8"):
            call()
    assert listing(here) == before


def test_image_files_may_have_names_that_are_no_text(here, tmp_path):
    assert pyrovae(f"{TRAIN} --dataset folder:files --out {tmp_path}/run") == 0


def test_a_folder_inside_one_whose_name_is_no_text_works(here, monkeypatch, capsys):
    monkeypatch.chdir(f"{NO_TEXT}-cwd")
    assert pyrovae(f"{TRAIN} --out run") == 0
    assert pyrovae("report run --out page.html") == 0
    assert pyrovae(f"{TRAIN} --out .") == 2
    assert "out: expected a name in UTF-8" in capsys.readouterr().err
    shutil.copy("run/config.toml", "config.toml")
    assert pyrovae("train --config config.toml") == 2  # the run would be called after this folder
    assert "name: expected a name in UTF-8" in capsys.readouterr().err


def test_bytes_on_the_command_line_that_are_no_text_are_refused(tmp_path):
    code = [sys.executable, "-m", "pyrovae", "train", "--epochs", "1", "--out", b"run-\xe9"]
    result = subprocess.run(code, capture_output=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert result.returncode == 2
    assert result.stderr.startswith(b"pyrovae: out: expected a name in UTF-8, got 'run-\\udce9'")
    assert not [*tmp_path.iterdir()]

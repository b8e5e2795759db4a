"""Runs command lines in this process, and makes a folder of runs and datasets for them to work on."""

import shlex
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from pyrovae.cli import main
from pyrovae.pages.report import save
from pyrovae.runs.run import Run

TINY = "--hidden 16 --device cpu"


def pyrovae(line):
    """Run a command line, or a list of arguments, in this process and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(line) if isinstance(line, str) else line)
    return caught.value.code


def listing(folder):
    """Map each path in a folder to its size and time of change, so that two listings show every change."""
    return {path: path.is_file() and (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def metrics(path):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in Run(path).metrics]


def make_world(root):
    """Fill a folder with runs and datasets, good and broken ones."""
    _make_data(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        _make_runs()
    for name, missing in (("unfinished", "summary.json"), ("unsaved", "checkpoint.pt"), ("bare", "model.safetensors")):
        shutil.copytree(root / "run", root / name)
        (root / name / missing).unlink()
    for name, file in (("weights", "model.safetensors"), ("checkpoint", "checkpoint.pt"), ("config", "config.toml")):
        shutil.copytree(root / "run", root / f"bad-{name}")
        (root / f"bad-{name}" / file).write_text("= broken", encoding="utf-8")
    return root


def _make_data(root):
    random = np.random.default_rng(0)
    images, words = random.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.array(["ant", "bee", "7"] * 20)
    np.savez(root / "plain.npz", images=images)
    np.savez(root / "labelled.npz", images=images, labels=words)
    np.savez(root / "floats.npz", images=7 * (images / 255) - 3)
    np.savez(root / "constant.npz", images=np.full_like(images, 130))
    gaps = np.where(random.random((60, 3)) < 0.3, np.nan, random.normal(size=(60, 3)))
    np.savetxt(root / "gaps.csv", gaps, delimiter=",", header="a,b,c", comments="")
    np.savez(root / "numbers.npz", images=images, labels=np.arange(60) / 2)
    (root / "text.npz").write_text("no archive", encoding="utf-8")
    for name in ("empty", "data", "broken", "mixture", "sizes", "folder.png"):
        (root / name).mkdir()
    (root / "mixture/cats").mkdir()
    for file, side in (("broken/a", 8), ("mixture/a", 8), ("mixture/cats/b", 8), ("sizes/a", 8), ("sizes/b", 9)):
        Image.fromarray(images[0]).resize((side, side)).save(root / f"{file}.png")
    (root / "broken/b.png").write_text("no image", encoding="utf-8")
    (root / "taken.png").touch()
    (root / "latin.toml").write_bytes(b'dataset = "\xe9"')
    (root / "malformed.toml").write_text("epochs = = 3", encoding="utf-8")
    (root / "unknown.toml").write_text("latnet_dim = 3", encoding="utf-8")
    (root / "table.toml").write_text("[training]\nepochs = 3", encoding="utf-8")
    (root / "word.toml").write_text('epochs = "ten"', encoding="utf-8")
    (root / "number.toml").write_text("dataset = 3", encoding="utf-8")


def _make_runs():
    line = f"train --epochs 2 --no-figures {TINY}"
    assert pyrovae(f"{line} --out run") == 0
    for condition in ("label", "quadrant1"):
        assert pyrovae(f"{line} --out {condition} --dataset npz:labelled.npz --condition {condition}") == 0
    table = "--dataset csv:gaps.csv --pixels standardized --likelihood gaussian"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="dataset: .* are missing")
        assert pyrovae(f"{line} --out gaps {table}") == 0
    for name in ("run", "label", "quadrant1"):
        save(Run(name))  # the page without figures, which take seconds to draw

"""Runs many trainings at once, the same training twice, and long trainings."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.builders import ROOT, contents, small_fit
from support.forked import Training

from pyrovae import Config, Run

TRAIN = "--hidden 16 --epochs 3 --device cpu"
RESULTS = ROOT / "results"


def finish(arguments, cwd):
    process = Training(arguments, cwd, figures=True)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, output + error


def test_ten_trainings_at_once_take_a_folder_each_and_give_the_same_numbers(tmp_path):
    processes = [Training(TRAIN, tmp_path, figures=True) for _ in range(10)]
    outputs = [process.communicate(timeout=500) for process in processes]
    assert [process.returncode for process in processes] == 10 * [0], outputs
    runs = sorted((tmp_path / "results").iterdir())
    assert {run.name for run in runs} == {"digits", *(f"digits-{k}" for k in range(2, 11))}
    first = contents(runs[0])
    assert all(contents(run) == first for run in runs)


def test_the_same_seed_gives_the_same_files(tmp_path):
    """All files are the same, with the figures and the report; only the seconds differ."""
    for name in ("one", "two"):
        finish(f"{TRAIN} --out {name}/run", tmp_path)
    one, two = (
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert one.keys() == two.keys()
    for run in (one, two):
        run["run/report.html"] = re.sub(rb"<td>[\d.,]+ s</td>", b"", run["run/report.html"])
    timed = {"run/metrics.jsonl", "run/summary.json"}  # which has a digest of the former
    assert {name for name in one if one[name] != two[name]} <= timed
    assert len([name for name in one if name.endswith(".png")]) > 5
    for name in timed:
        without = [re.sub(rb'"seconds": [\d.]+|"metrics.jsonl": "[0-9a-f]+"', b"", run[name]) for run in (one, two)]
        assert without[0] == without[1]


def test_a_published_run_is_repeated_by_its_config(tmp_path):
    """Repeats the first epochs from the config alone; on another processor some digits differ."""
    config = RESULTS / "digits/config.toml"
    finish(f"--config {config} --epochs 3 --out again", tmp_path)
    published = [
        json.loads(line) for line in (RESULTS / "digits/metrics.jsonl").read_text(encoding="utf-8").splitlines()[:3]
    ]
    for record, wanted in zip(Run(tmp_path / "again").metrics, published):
        assert record["epoch"] == wanted["epoch"]
        for part in ("train", "test"):
            assert record[part] == pytest.approx(wanted[part], rel=1e-3)


def test_a_summary_says_how_a_run_was_made(tmp_path):
    fitting = small_fit(epochs=1)
    run = Run.create(tmp_path / "run", fitting.config)
    for record in fitting:
        run.record(record, fitting)
    summary = run.finish(fitting)
    assert summary["threads"] >= 1
    assert summary["precision"] == "fp32"
    assert summary["compiled"] is False
    assert summary["deterministic"] == {"algorithms": False, "cudnn": False}
    assert set(summary["versions"]) == {"pyrovae", "torch", "pyro-ppl", "python"}
    if (RESULTS.parent / ".git").exists() and shutil.which("git"):
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", summary["git"])


# --- long trainings ---

EPOCHS = int(os.environ.get("PYROVAE_EPOCHS", "300"))  # results/reliability.md: 10000


def resident(pid):
    """The resident memory of a process, in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
@pytest.mark.parametrize("compiled", ["no", "yes"])
def test_memory_does_not_grow_over_the_epochs(compiled, tmp_path):
    settings = f"--hidden 8 --batch-size 1500 --epochs {EPOCHS} --compile {compiled} --device cpu --out run"
    command = [sys.executable, "-m", "pyrovae", "train", *shlex.split(settings)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen = []
    drain = threading.Thread(target=process.stdout.read)
    drain.start()
    metrics = tmp_path / "run/metrics.jsonl"
    while process.poll() is None:
        if (
            metrics.exists() and (epochs := metrics.read_bytes().count(b"\n")) < EPOCHS
        ):  # after the last epoch it draws figures
            seen.append((epochs, resident(process.pid)))
        time.sleep(0.05 if EPOCHS < 1000 else 1)
    drain.join()
    process.stdout.close()
    assert process.returncode == 0
    marks = [min(seen, key=lambda pair: abs(pair[0] - EPOCHS * part / 10)) for part in range(2, 11)]
    print(f"compile {compiled}:", ", ".join(f"epoch {epoch} {megabytes:.0f} MB" for epoch, megabytes in marks))
    assert marks[-1][1] - marks[0][1] < 20
    assert Run(tmp_path / "run").config == Config.from_toml((tmp_path / "run/config.toml").read_text(encoding="utf-8"))


LIMITED = """
import pyrovae.data.storage
pyrovae.data.storage.memory = lambda device: {memory}
from pyrovae.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_a_million_images_stream_in_bounded_memory(tmp_path):
    """Train on 784 MB of images, as if the machine had 1 GB: torch, figures and all take less memory than that."""
    images = np.random.default_rng(0).integers(0, 256, (1_000_000, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    del images
    arguments = (
        "train --dataset npz:images.npz --epochs 1 --batch-size 4096 --hidden 16 --compile no --device cpu --out run"
    )
    most = anonymous_memory_of(arguments, tmp_path, memory=2**30)
    assert Run(tmp_path / "run").summary["images"] == {"train": 800_000, "test": 200_000}
    assert most < 784


def anonymous_memory_of(arguments, folder, memory):
    """Run a command as if the machine had so many bytes of memory; returns the most that it took, in megabytes."""
    command = [sys.executable, "-c", LIMITED.format(memory=memory), *shlex.split(arguments)]
    environment, most = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}, 0
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            anonymous = re.search(r"RssAnon:\s+(\d+) kB", status)
            most = max(most, int(anonymous[1]) / 1e3 if anonymous else 0)
            time.sleep(0.05)
    assert process.returncode == 0
    print(f"{most:.0f} MB at most")
    return most


def million_sparse_rows(path, rows=1_000_000, columns=2000, part=50_000):
    """Write an h5ad file of counts, of which about 1.5 % are not 0, a part at a time; returns how many they are."""
    h5py = pytest.importorskip("h5py")
    rng, values = np.random.default_rng(0), 0
    popular = np.arange(1, columns + 1) ** -0.7
    with h5py.File(path, "w") as file:
        x = file.create_group("X")
        x.attrs["encoding-type"], x.attrs["shape"] = "csr_matrix", (rows, columns)
        ends = [np.zeros(1, np.int64)]
        for name, kind in (("indices", "i4"), ("data", "f4")):
            x.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(2**18,))
        for _ in range(rows // part):
            counts = rng.integers(10, 51, part)
            size = int(counts.sum())
            ends.append(values + counts.cumsum())
            indices = rng.choice(columns, size, p=popular / popular.sum())
            for name, drawn in (("indices", indices), ("data", rng.geometric(0.4, size))):
                x[name].resize(values + size, 0)
                x[name][values:] = drawn
            values += size
        x["indptr"] = np.concatenate(ends)
    return values


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_a_million_sparse_rows_train_in_bounded_memory(tmp_path):
    """Train on rows that would take 8 GB as a dense matrix, and 240 MB as a sparse one, as if there were 256 MB."""
    values = million_sparse_rows(tmp_path / "cells.h5ad")
    assert 0.014 < values / 2e9 < 0.016
    arguments = (
        "train --dataset h5ad:cells.h5ad --pixels counts --likelihood poisson --library-size observed --epochs 1"
        " --batch-size 512 --hidden 16 --compile no --device cpu --out run"
    )
    most = anonymous_memory_of(arguments, tmp_path, memory=2**28)
    run = Run(tmp_path / "run")
    assert run.summary["images"] == {"train": 800_000, "test": 200_000}
    print(f"{values:,} values, {run.summary['seconds']:.0f} s, {run.metrics[-1]['test']}")
    assert most < 784

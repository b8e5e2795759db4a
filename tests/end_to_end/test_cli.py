"""The command line: runs, pictures and tables for good input; `test_bad_input.py` has the bad."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from support.builders import contents
from support.commands import TINY, listing, metrics, pyrovae

from pyrovae.cli import COMMANDS
from pyrovae.cli.list import KINDS
from pyrovae.cli.progress import Progress
from pyrovae.config.presets import presets
from pyrovae.config.settings import Config
from pyrovae.data.sources import DATASETS
from pyrovae.errors import InputError
from pyrovae.figures import FIGURES
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.runs import evaluating
from pyrovae.runs.files import PART
from pyrovae.runs.run import Run


def test_a_loss_that_is_not_finite_exits_with_1(here, capsys):
    assert pyrovae(f"train --lr 1e30 {TINY}") == 1
    assert re.fullmatch(r"pyrovae: epoch 1, step 2: expected a finite loss, got .*\n", capsys.readouterr().err)


def test_settings_for_which_no_memory_suffices_exit_with_1(world, capsys, monkeypatch):
    def full(*_args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000000 bytes.")

    monkeypatch.setattr(evaluating, "log_likelihoods", full)
    before = listing(world)
    assert pyrovae("evaluate run --device cpu") == 1
    told = capsys.readouterr().err
    assert re.fullmatch(r"pyrovae: expected settings for which the memory suffices, got: .*\n", told)
    assert listing(world) == before


def test_a_disk_that_is_full_exits_with_1(here, capsys, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "record", full)
    assert pyrovae(f"train --epochs 1 {TINY}") == 1
    told = capsys.readouterr().err
    assert re.fullmatch(r"pyrovae: .*No space left on device.*\n", told)


def test_one_slow_epoch_does_not_change_what_is_left(capsys):
    fit = SimpleNamespace(
        config=Config(epochs=10), data=SimpleNamespace(train=range(100), noun="image"), epoch=0, done=False
    )
    scores, left = {"loss": 1.0, "reconstruction": 1.0, "kl": 0.0}, []
    with Progress(fit) as progress:
        for number, seconds in enumerate((100.0, 2.0, 2.0, 90.0, 2.0), 1):
            progress.show({"epoch": number, "seconds": seconds, "test": scores})
            left.append(capsys.readouterr().out.split()[-2])
    assert left == ["15:00", "0:16", "0:14", "0:12", "0:10"]


# --- train ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Where `pyrovae train` was called twice, and what it printed."""
    root = tmp_path_factory.mktemp("trained")
    command = [sys.executable, "-m", "pyrovae", "train", "--epochs", "2", *shlex.split(TINY)]
    first = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert pyrovae(f"train --epochs 2 {TINY}") == 0
    return root, first


def test_train_leaves_a_run(trained):
    root, process = trained
    run = root / "results" / "digits"
    assert process.stderr == ""
    assert "digits: 1,438 images for training, 359 for testing; run folder results/digits" in process.stdout
    assert "a relaxed score, not a density" in process.stdout
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    others = {"conditions", "completions", "clusters", "confusion", "marginals", "pairs", "imputations"}
    drawn = {f"figures/{name}.png" for name in FIGURES.keys() - others}
    wanted = {"config.toml", "metrics.jsonl", "model.safetensors", "checkpoint.pt", "summary.json", "report.html"}
    assert wanted | drawn <= files
    assert files - wanted - drawn <= {".lock", "progress.safetensors", "figures/traversals.png"}
    assert Config.from_toml((run / "config.toml").read_text()) == Config(epochs=2, hidden=16, device="cpu")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[1]["train"]["loss"] < records[0]["train"]["loss"]
    assert Run(run).summary["final"] == records[1]
    with Image.open(run / "figures/samples.png") as picture:
        assert min(picture.size) > 200


def test_a_second_run_takes_the_next_name_and_repeats_the_first(trained):
    root, _ = trained
    assert {path.name for path in (root / "results").iterdir()} == {"digits", "digits-2"}
    assert metrics(root / "results/digits") == metrics(root / "results/digits-2")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        ("--preset digits", "digits"),
        ("--config my.toml", "my"),
        ("--preset mnist-vae --config my.toml", "my"),
        ("--config old/config.toml", "old"),
        ("--dataset npz:tiny.npz", "tiny"),
    ],
)
def test_a_run_is_called_after_where_it_starts_from(start, name, here):
    np.savez("tiny.npz", images=np.arange(160, dtype=np.uint8).reshape(10, 4, 4))
    (here / "old").mkdir()
    for path in ("my.toml", "old/config.toml"):
        (here / path).write_text("lr = 0.5\nepochs = 7")
    assert pyrovae(f"train {start} --dataset npz:tiny.npz --epochs 1 {TINY} --out results/other --no-figures") == 0
    assert pyrovae(f"train {start} --dataset npz:tiny.npz --epochs 1 {TINY} --no-figures") == 0
    config = Run(f"results/{name}").config
    assert config == Run("results/other").config
    assert config.epochs == 1  # a flag goes over the file
    assert config.lr == (0.5 if "toml" in start else Config.from_toml(presets()["digits"]).lr)


def test_every_setting_is_a_flag(here, capsys):
    assert pyrovae("train --help") == 0
    words = capsys.readouterr().out.split()
    assert [name for name in Config.model_fields if f"--{name.replace('_', '-')}" not in words] == []
    np.savez("tiny.npz", images=np.arange(160, dtype=np.uint8).reshape(10, 4, 4), labels=np.arange(10) % 2)
    settings = {
        "dataset": "npz:tiny.npz",
        "image_size": 5,
        "pixels": "standardized",
        "condition": "label",
        "hidden": (7, 5),
        "activation": "tanh",
        "latent_dim": 3,
        "likelihood": "gaussian",
        "scale": 0.5,
        "prior": "conditional",
        "particles": 2,
        "beta": 0.5,
        "warmup": 1,
        "epochs": 2,
        "batch_size": 3,
        "lr": 0.01,
        "validation": 2,
        "patience": 1,
        "seed": 4,
        "device": "cpu",
    }
    values = {name: ",".join(map(str, value)) if name == "hidden" else value for name, value in settings.items()}
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in values.items())
    assert pyrovae(f"train --out run {flags} --no-figures") == 0
    assert Run("run").config == Config(**settings)


def test_force_replaces_a_run(here):
    assert pyrovae(f"train --out run --epochs 2 {TINY} --no-figures") == 0
    (here / "run/mine.txt").touch()
    assert pyrovae(f"train --out run --epochs 1 {TINY} --force --no-figures") == 0
    assert len(Run("run").metrics) == 1
    assert (here / "run/mine.txt").exists()


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
@pytest.mark.parametrize("labelled", [False, True])
def test_two_images_are_enough(labelled, latent_dim, here):
    for i in range(2):
        folder = here / "images" / (f"kind {i}" if labelled else "")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 100 * i, dtype=np.uint8)).save(folder / f"{i}.png")
    condition = "label" if labelled else "none"
    line = f"train --dataset folder:images --condition {condition} --latent-dim {latent_dim} --epochs 1 --out run"
    assert pyrovae(f"{line} {TINY}") == 0
    assert (here / "run/figures/samples.png").exists()


# --- train --resume, and interruptions ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of four epochs without interruption."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert pyrovae(f"train --out run --epochs 4 {TINY} --no-figures") == 0
    return root / "run"


def assert_same_run(path, whole):
    assert metrics(path) == metrics(whole)
    assert (path / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert Run(path).config == Run(whole).config


def test_a_resumed_run_equals_an_uninterrupted_one(whole, here):
    assert pyrovae(f"train --epochs 2 {TINY} --no-figures") == 0
    assert pyrovae("train --resume --epochs 4 --no-figures") == 0
    assert_same_run(here / "results/digits", whole)
    assert pyrovae("train --resume --no-figures") == 0  # nothing is left to do
    assert_same_run(here / "results/digits", whole)


@pytest.mark.parametrize(
    "line",
    [
        f"train --out run --seed 3 --epochs 2 {TINY}",
        f"train --preset digits --out run --epochs 2 {TINY}",
        f"train --config mine.toml --out run --lr 0.01 {TINY}",
        f"train --epochs 2 {TINY}",
        f"train --preset digits --epochs 2 {TINY}",
        f"train --preset digits --out run --epochs 2 {TINY} --latent-dim 3 --seed 3 --condition label",
        f"train --config mine.toml --out run {TINY} --latent-dim 5 --condition quadrant1",  # the prior follows
    ],
)
def test_the_same_command_with_resume_behind_it_begins_goes_on_and_ends(line, here, capsys):
    """Job schedulers repeat a command until it succeeds."""
    (here / "mine.toml").write_text('latent_dim = 3\nepochs = 2\nprior = "normal"\n', encoding="utf-8")
    path = here / ("run" if "--out" in line else "results/digits")
    assert pyrovae(f"{line} --resume --no-figures") == 0
    assert f"no run to resume in {path.relative_to(here)}: this is its start\n" in capsys.readouterr().out
    first = contents(path)
    (path / "summary.json").unlink()  # as if it had been ended by a signal
    assert pyrovae(f"{line} --resume --no-figures") == 0
    assert "no run to resume" not in capsys.readouterr().out
    assert contents(path) == first
    assert [folder.name for folder in path.parent.iterdir() if folder.name.startswith(("run", "digits"))] == [path.name]


def test_resume_without_a_name_takes_the_newest_run(here):
    for _ in range(2):
        assert pyrovae(f"train --epochs 1 {TINY} --no-figures") == 0
    assert pyrovae("train --resume --epochs 2 --no-figures") == 0
    assert [len(Run(f"results/{name}").metrics) for name in ("digits", "digits-2")] == [1, 2]


def test_resume_after_a_kill_in_the_middle_of_a_record(whole, here):
    assert pyrovae(f"train --out run --epochs 2 {TINY} --no-figures") == 0
    (here / "run/summary.json").unlink()  # a run that goes on has none
    with (here / "run/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "seco')
    assert pyrovae("train --resume --out run --epochs 4 --no-figures") == 0
    assert_same_run(here / "run", whole)


def interrupt_before_saving(patch, epoch):
    record = Run.record

    def interrupted(self, scores, fit):
        if scores["epoch"] == epoch:
            raise KeyboardInterrupt
        record(self, scores, fit)

    patch.setattr(Run, "record", interrupted)


def interrupt_while_saving(patch, epoch):
    save = torch.save

    def interrupted(state, file):
        if state["progress"]["epoch"] == epoch:
            raise KeyboardInterrupt
        save(state, file)

    patch.setattr(torch, "save", interrupted)


def interrupt_while_drawing(patch, _epoch):
    def interrupted(*_):
        raise KeyboardInterrupt

    patch.setattr(Run, "save_figure", interrupted)


@pytest.mark.parametrize("interrupt", [interrupt_before_saving, interrupt_while_saving, interrupt_while_drawing])
@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("out", ["run", "'my run'"])
def test_ctrl_c_prints_the_command_that_goes_on(interrupt, epoch, out, whole, here, capsys):
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, epoch)
        assert pyrovae(f"train --out {out} --epochs 4 {TINY}") == 130
    goes_on = re.search(r"go on with: pyrovae (.*)\n", capsys.readouterr().err)[1]
    (path,) = here.iterdir()
    assert not list(path.glob(f"{PART}*"))  # no half-written file
    assert pyrovae(f"{goes_on} --no-figures") == 0
    assert_same_run(path, whole)


def test_ctrl_c_in_a_resumed_run_keeps_its_new_number_of_epochs(whole, here, capsys):
    assert pyrovae(f"train --out run --epochs 1 {TINY} --no-figures") == 0
    with pytest.MonkeyPatch.context() as patch:
        interrupt_before_saving(patch, 3)
        assert pyrovae("train --out run --resume --epochs 4 --no-figures") == 130
    goes_on = re.search(r"go on with: pyrovae (.*)\n", capsys.readouterr().err)[1]
    assert pyrovae(f"{goes_on} --no-figures") == 0
    assert_same_run(here / "run", whole)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_a_real_ctrl_c(tmp_path):
    # A job started in the background inherits an ignored SIGINT, and so would the child.
    restored = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{restored}; from pyrovae.cli import main; main()"
    command = [sys.executable, "-c", program, "train", "--out", "run", "--epochs", "1000000", *shlex.split(TINY)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "run/checkpoint.pt").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "go on with: pyrovae train --resume --out run\n" in error
    assert "Traceback" not in error


def test_a_small_step_takes_one_thread_unless_told_otherwise(here, two_threads, monkeypatch):
    for out, flags, variable in (("a", "", "2"), ("b", "--threads 3", "2"), ("c", "--threads 3", ""), ("d", "", "")):
        if variable:
            monkeypatch.setenv("OMP_NUM_THREADS", variable)
        else:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        torch.set_num_threads(2)
        assert pyrovae(f"train --epochs 1 --out {out} {TINY} --no-figures {flags}") == 0
    assert [Run(name).summary["threads"] for name in "abcd"] == [2, 3, 3, 1]


# --- plot, sample, compare, list ---


def test_plot_draws_the_figures_that_are_named(world, capsys):
    assert pyrovae("plot run losses manifold") == 0
    assert capsys.readouterr().out.split() == ["run/figures/losses.png", "run/figures/manifold.png"]
    assert {path.name for path in (world / "run/figures").iterdir()} == {"losses.png", "manifold.png"}


def test_plot_draws_all_that_fit(world):
    assert pyrovae("plot quadrant1") == 0
    drawn = {path.stem for path in (world / "quadrant1/figures").iterdir()}
    assert {"losses", "reconstructions", "samples", "completions"} <= drawn
    assert drawn.isdisjoint({"conditions", "manifold", "interpolations"})


def sampled(line):
    assert pyrovae(f"sample {line} --out a.npz --force") == 0
    with np.load("a.npz") as arrays:
        return dict(arrays)


def test_sample_as_npz(world):
    first, again, other, drawn = (
        sampled(f"run -n 5 {flags}")["images"] for flags in ("", "--seed 0", "--seed 1", "--draw")
    )
    assert first.shape == (5, 1, 8, 8)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first)) > 2
    assert set(np.unique(drawn)) == {0, 255}


def test_sample_by_label(world):
    in_turn = sampled("label -n 7")
    assert in_turn["labels"].tolist() == ["7", "ant", "bee", "7", "ant", "bee", "7"]
    bee, seven = (sampled(f"label -n 7 --label {label}") for label in ("bee", "7"))
    assert bee["labels"].tolist() == ["bee"] * 7
    assert not np.array_equal(bee["images"], seven["images"])
    assert np.array_equal(in_turn["images"][2], bee["images"][2])
    assert np.array_equal(in_turn["images"][0], seven["images"][0])


def test_a_label_is_a_number_only_where_no_class_is_called_by_one():
    from pyrovae.cli.sample import _index

    assert _index("1", ("ant", "bee")) == 1
    assert _index("6", ("5", "6", "7")) == 1
    for label, classes in [("1", ("5", "6", "7")), ("2", ("ant", "bee")), ("-1", ("ant", "bee"))]:
        with pytest.raises(InputError, match="label: expected one of"):
            _index(label, classes)


def test_sample_given_quadrants_shows_them(world):
    images = sampled("quadrant1 -n 15")["images"]
    test = Run("quadrant1").data.test.images.numpy()
    assert len(test) == 12  # and so the last three are the first again
    assert np.array_equal(images[:, :, 4:, :4], test[[*range(12), 0, 1, 2], :, 4:, :4])


@pytest.mark.parametrize("n", [1, 5, 64])
def test_sample_as_picture(n, world, capsys):
    assert pyrovae(f"sample run -n {n} --out a.png") == 0
    assert pyrovae(f"sample run -n {n}") == 0
    assert capsys.readouterr().out.split() == ["a.png", "run/figures/sample.png"]
    with Image.open("a.png") as picture, Image.open("run/figures/sample.png") as default:
        assert picture.format == "PNG"
        assert picture.size == default.size
        assert len(picture.convert("L").getcolors()) > 5


def test_compare_ranks_runs_of_one_kind(world, whole, capsys):
    shutil.copytree(whole, "longer")
    worse, better = (Run(name).summary["best"]["test"]["loss"] for name in ("run", "longer"))
    assert better < worse
    assert pyrovae("compare run longer --out a.png") == 0
    table = capsys.readouterr().out
    assert table.index(f"{better:.2f}") < table.index(f"{worse:.2f}")
    assert "not ranked" not in table
    with Image.open("a.png") as picture:
        assert picture.format == "PNG"


def test_compare_takes_a_run_that_is_named_twice_once(world, capsys):
    assert pyrovae("compare run ./run run/../run") == 0
    assert "standard deviation" not in capsys.readouterr().out  # of one run and itself


def test_compare_does_not_rank_runs_of_two_kinds(world, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert pyrovae("compare run label") == 0
    table = capsys.readouterr().out
    assert "not ranked" in table
    assert "npz:labelled.npz" in table


def test_names_with_brackets_are_shown(world, capsys):
    assert pyrovae(f"train --epochs 1 {TINY} --out 'run[a]'") == 0
    assert capsys.readouterr().out.count("run[a]") == 4
    assert pyrovae("compare run 'run[a]'") == 0
    assert "run[a]" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_list(kind, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    assert pyrovae(f"list {kind}") == 0
    title, *rows = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert title == kind
    listed = dict(row.split(maxsplit=1) if " " in row else (row, "") for row in rows)
    assert listed.keys() == KINDS[kind]().keys()
    if kind != "activations":
        assert all(listed.values())  # each says what it is


def test_list_of_all_kinds(capsys):
    assert pyrovae("list") == 0
    words = capsys.readouterr().out.split()
    assert {*KINDS, *DATASETS, *FIGURES, *LIKELIHOODS, *presets()} <= set(words)


# --- help ---


def test_without_a_command_the_help_is_shown(capsys):
    assert pyrovae("--help") == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    pyrovae("")
    shown = capsys.readouterr()
    assert (shown.out + shown.err).strip().startswith("Usage: pyrovae")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name, capsys):
    assert pyrovae(f"{name} --help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: pyrovae {name} ")


@pytest.mark.parametrize("line", ["--help", "--version", "train --help", "plot --help", "train --lr 0"])
def test_torch_is_not_imported_before_it_is_needed(line):
    command = [sys.executable, "-X", "importtime", "-m", "pyrovae", *line.split()]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == (2 if line == "train --lr 0" else 0)
    imported = {row.rsplit("|")[-1].strip() for row in process.stderr.splitlines() if row.startswith("import time:")}
    assert "pyrovae.cli" in imported
    assert imported.isdisjoint({"torch", "pyro", "matplotlib", "sklearn"})

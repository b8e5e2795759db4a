"""The command line: one line for bad input and an untouched disk; runs, pictures and tables for good input."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from pyrovae.cli import COMMANDS, main
from pyrovae.cli.list import KINDS
from pyrovae.config import Config, InputError, presets
from pyrovae.figures import FIGURES
from pyrovae.likelihoods import LIKELIHOODS
from pyrovae.runs import Run
from pyrovae.sources import DATASETS

TINY = "--hidden 16 --device cpu"


def pyrovae(line):
    """Run a command line in this process; its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(line))
    return caught.value.code


def listing(folder):
    return {path: path.is_file() and (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def metrics(path):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in Run(path).metrics]


def without_figures(patch):
    patch.setattr("pyrovae.cli.session.draw", lambda run: ())


@pytest.fixture
def no_figures(monkeypatch):
    without_figures(monkeypatch)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made_world(tmp_path_factory):
    """A folder of runs and data sets, good and broken ones."""
    root = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(0)
    images, words = random.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.array(["ant", "bee", "7"] * 20)
    np.savez(root / "plain.npz", images=images)
    np.savez(root / "labelled.npz", images=images, labels=words)
    np.savez(root / "floats.npz", images=images / 255)
    np.savez(root / "constant.npz", images=np.full_like(images, 3))
    np.savez(root / "numbers.npz", images=images, labels=np.arange(60) / 2)
    (root / "text.npz").write_text("no archive")
    for name in ("empty", "data", "broken", "mixture", "sizes"):
        (root / name).mkdir()
    (root / "mixture/cats").mkdir()
    for file, side in (("broken/a", 8), ("mixture/a", 8), ("mixture/cats/b", 8), ("sizes/a", 8), ("sizes/b", 9)):
        Image.fromarray(images[0]).resize((side, side)).save(root / f"{file}.png")
    (root / "broken/b.png").write_text("no image")
    (root / "taken.png").touch()
    (root / "latin.toml").write_bytes(b'dataset = "\xe9"')
    (root / "malformed.toml").write_text("epochs = = 3")
    (root / "unknown.toml").write_text("latnet_dim = 3")
    (root / "table.toml").write_text("[training]\nepochs = 3")
    (root / "word.toml").write_text('epochs = "ten"')
    (root / "number.toml").write_text("dataset = 3")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        without_figures(patch)
        assert pyrovae(f"train --out run --epochs 2 {TINY}") == 0
        for condition in ("label", "quadrant1"):
            line = f"train --out {condition} --dataset npz:labelled.npz --epochs 2 --condition {condition} {TINY}"
            assert pyrovae(line) == 0
    for name, missing in (("unfinished", "summary.json"), ("unsaved", "checkpoint.pt"), ("bare", "model.safetensors")):
        shutil.copytree(root / "run", root / name)
        (root / name / missing).unlink()
    for name, file in (("weights", "model.safetensors"), ("checkpoint", "checkpoint.pt"), ("config", "config.toml")):
        shutil.copytree(root / "run", root / f"bad-{name}")
        (root / f"bad-{name}" / file).write_text("= broken")
    return root


@pytest.fixture
def world(made_world, tmp_path, monkeypatch):
    """The working directory: a copy of that folder, and no network."""

    def refuse(*_args, **_kwargs):
        raise URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("PYROVAE_DATA", "data")
    monkeypatch.chdir(shutil.copytree(made_world, tmp_path / "world"))
    return tmp_path / "world"


BAD_INPUT = [
    ("trian", "expected one of train, .*, got 'trian'; did you mean 'train'"),
    ("--verson", "--verson.*[Dd]id you mean '?--version"),
    # flags
    ("train --latnet-dim 3", "unknown flag --latnet-dim; did you mean '--latent-dim'"),
    ("train mnist", r"unexpected extra argument \(mnist\)"),
    ("train --lr", "--lr.* requires an argument"),
    ("train --lr fast", "lr: expected a valid number.*, got 'fast'"),
    ("train --lr 0", "lr: expected greater than 0, got '0'"),
    ("train --lr nan", "lr: expected a finite number, got 'nan'"),
    ("train --lr inf", "lr: expected a finite number, got 'inf'"),
    ("train --beta -1", "beta: expected greater than or equal to 0, got '-1'"),
    ("train --free-bits -1", "free_bits: expected greater than or equal to 0, got '-1'"),
    ("train --free-bits 0.5 --posterior delta", "free_bits: expected 0, as posterior 'delta' has no KL, got 0.5"),
    ("train --mmd-weight -1", "mmd_weight: expected greater than or equal to 0, got '-1'"),
    ("train --scale 0", "scale: expected a number greater than 0, shared, pixel or optimal, got '0'"),
    ("train --epochs 0", "epochs: expected greater than or equal to 1, got '0'"),
    ("train --epochs 1.5", "epochs: expected a valid integer.*, got '1.5'"),
    (
        "train --epochs ten --lr 0",
        "epochs: expected a valid integer.*, got 'ten'; lr: expected .*, got '0'",
    ),
    ("train --batch-size 0", "batch_size: expected .*1, got '0'"),
    ("train --latent-dim 0", "latent_dim: expected .*1, got '0'"),
    ("train --particles 0", "particles: expected .*1, got '0'"),
    ("train --warmup -1", "warmup: expected .*0, got '-1'"),
    ("train --cycle 5", "cycle: expected warmup from 1 to cycle beside it, got warmup = 0"),
    ("train --cycle 5 --warmup 6", "cycle: expected warmup from 1 to cycle beside it, got warmup = 6"),
    ("train --schedule cosin", "schedule: expected 'constant' or 'cosine', got 'cosin'; did you mean 'cosine'"),
    ("train --image-size 513", "image_size: expected less than or equal to 512, got '513'"),
    ("train --seed -1", "seed: expected greater than or equal to 0, got '-1'"),
    ("train --seed 4294967296", "seed: expected less than 4294967296, got '4294967296'"),
    ("train --hidden 5,x", "hidden: expected a valid integer.*, got 'x'"),
    ("train --hidden 5,0", "hidden: expected one or more layer widths of at least 1"),
    ("train --hidden ''", "hidden: expected one or more layer widths of at least 1"),
    ("train --validation 5000", "validation: expected fewer than the 1438 images, got 5000"),
    ("train --patience 3", "patience: expected validation > 0 beside it, got validation = 0"),
    ("train --device gpu", "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
    ("train --device cuda:99", r"device: expected cpu or one of this machine's \d+ CUDA devices, got 'cuda:99'"),
    # names
    ("train --pixels gray", "pixels: expected 'grey', .*, got 'gray'; did you mean 'grey'"),
    ("train --condition lable", "condition: expected 'none', .*, got 'lable'; did you mean 'label'"),
    ("train --dataset mnits", "dataset: expected one of digits, .*, got 'mnits'; did you mean 'mnist'"),
    ("train --preset mnist-vea", "preset: expected one of .*, got 'mnist-vea'; did you mean 'mnist-vae'"),
    ("train --network mpl", "network: expected one of mlp, .*, got 'mpl'; did you mean 'mlp'"),
    ("train --activation rleu", "activation: expected one of relu, .*, got 'rleu'; did you mean '.*relu'"),
    ("train --likelihood gausian", "likelihood: expected one of .*, got 'gausian'; did you mean 'gaussian'"),
    ("train --prior norml", "prior: expected one of .*, got 'norml'; did you mean 'normal'"),
    ("train --posterior diagnal", "posterior: expected one of .*, got 'diagnal'; did you mean 'diagonal'"),
    ("train --objective elboo", "objective: expected one of elbo.*, got 'elboo'; did you mean 'elbo'"),
    ("train --likelihood no.such:Class", "likelihood: expected a class at 'no.such:Class', got: "),
    ("train --prior math:Nope", "prior: expected a class at 'math:Nope', got: "),
    ("train --network missing.py:Net", "network: expected a class at 'missing.py:Net', got: "),
    ("train --posterior :Nope", "posterior: expected a class at ':Nope', got: "),
    ("train --posterior .near:Nope", "posterior: expected a class at '.near:Nope', got: "),
    ("train --likelihood math:pi", "likelihood: expected .*'math:pi'"),
    ("train --likelihood torch.nn:ReLU", "likelihood: expected .*domain"),
    # settings that do not fit each other
    ("train --likelihood gaussian --pixels dynamic", "'gaussian' expects grey or standardized, got 'dynamic'"),
    ("train --pixels standardized", "pixels: likelihood 'bernoulli' expects .*, got 'standardized'"),
    ("train --prior conditional", "prior: 'conditional' expects a condition .*, got condition = 'none'"),
    ("train --network conv --image-size 4", "network conv: expected images of 8 to 64 pixels a side, got 4×4"),
    ("train --dataset npz:plain.npz --condition label", "'label' expects images with labels, got none in"),
    (
        "train --dataset npz:constant.npz --pixels standardized --likelihood gaussian",
        "'standardized' expects images that vary, got one constant value",
    ),
    # data
    ("train --dataset mnist", "expected .*MNIST/raw/train-images-idx3-ubyte.* in data.* got.*--data-dir"),
    ("train --dataset mnist --data-dir nowhere", "MNIST.* nowhere.*--data-dir"),
    ("train --dataset mnist --data-dir taken.png", "MNIST.* taken.png.*--data-dir"),
    ("train --dataset folder:nowhere", "expected a folder of images at nowhere, got nothing"),
    ("train --dataset folder:taken.png", "expected a folder of images at taken.png, got a file"),
    ("train --dataset folder:empty", r"expected images \(.png, .*\) in empty, got none"),
    ("train --dataset folder:broken", "expected an image in broken/b.png, got"),
    ("train --dataset folder:mixture", "or all in one sub-folder per label, got a mixture"),
    ("train --dataset folder:sizes", "expected images of one size or --image-size, got 2 sizes in sizes"),
    ("train --dataset npz:nowhere.npz", "expected an npz file at nowhere.npz, got: .*No such file"),
    ("train --dataset npz:text.npz", "expected an npz file at text.npz, got: "),
    ("train --dataset npz:floats.npz", "expected images of type uint8 .* in floats.npz, got float64"),
    ("train --dataset npz:numbers.npz", "expected 60 integers or words .*, got shape .* of type float64"),
    # config files
    ("train --config nowhere.toml", "config: expected a TOML file at nowhere.toml, got: No such file"),
    ("train --config empty", "config: expected a TOML file at empty, got: Is a directory"),
    ("train --config latin.toml", "config: expected a TOML file at latin.toml, got: "),
    ("train --config malformed.toml", r"config: expected TOML.*, got: .*line 1"),
    ("train --config unknown.toml", "unknown setting 'latnet_dim'; did you mean 'latent_dim'"),
    ("train --config table.toml", "unknown setting 'training'"),
    ("train --config word.toml", "epochs: expected a valid integer, .*, got 'ten'"),
    ("train --config number.toml", "dataset: expected a valid string, got 3"),
    # run folders to write
    ("train --out run", "out: run already holds a run; expected --resume, --force or another --out"),
    ("train --out taken.png", "out: expected a folder at taken.png, got a file"),
    ("train --out taken.png/run", "out: expected a folder that can be written at taken.png/run, got: "),
    # --resume
    ("train --resume", "resume: expected a run with a checkpoint in results/digits, got none"),
    ("train --resume --out nowhere", "run: expected a run folder .* at nowhere, got nothing"),
    ("train --resume --out empty", "run: expected a run folder .* at empty, got a folder without one"),
    ("train --resume --out unsaved", "run: expected checkpoint.pt in unsaved, got none"),
    ("train --resume --out bad-checkpoint", "run: expected a sound checkpoint.pt in bad-checkpoint, got: "),
    (
        "train --resume --out run --beta 2",
        "resume: expected no settings but device, epochs, grad_clip, lr, on_nan, save_minutes, got beta",
    ),
    ("train --resume --out run --prior laplace", "prior: expected normal, as run has it, got laplace"),
    ("train --resume --out run --dataset npz:plain.npz", "dataset: expected digits, as run has it, got npz:plain.npz"),
    ("train --resume --out run --epochs 0", "epochs: expected greater than or equal to 1, got '0'"),
    ("train --resume --out run --config word.toml", "resume: .*config"),
    ("train --resume --out run --preset digits", "resume: .*preset"),
    ("train --resume --out run --force", "resume: .*force"),
    # plot
    ("plot", "Missing argument 'RUN'"),
    ("plot run --all", "--all"),
    ("plot nowhere", "run: expected a run folder .* at nowhere, got nothing"),
    ("plot taken.png", "run: expected a run folder .* at taken.png, got a file"),
    ("plot bad-config", "config: expected TOML.*, got: "),
    ("plot run loses", "figure: expected one of losses, .*, got 'loses'; did you mean 'losses'"),
    ("plot run losses loses", "got 'loses'; did you mean 'losses'"),
    ("plot run completions", "figure completions: expected a model that is given quadrants .*, got another"),
    ("plot run losses conditions", "figure conditions: expected a model that is given labels .*, got another"),
    ("plot quadrant1 interpolations", "figure interpolations: expected a model that is not given quadrants, got one"),
    ("plot bare samples", "run: expected model.safetensors in bare, got none"),
    ("plot bad-weights samples", "run: expected a sound model.safetensors in bad-weights, got: "),
    # sample
    ("sample", "Missing argument 'RUN'"),
    ("sample empty", "run: expected a run folder .* at empty, got a folder without one"),
    ("sample run --lable 3", "No such option '--lable'. Did you mean '--label'"),
    ("sample run -n 0", "'-n': 0 is not in the range"),
    ("sample run -n few", "'-n': 'few' is not a valid integer"),
    ("sample run --seed -1", "'--seed': -1 is not in the range"),
    ("sample run --seed 99999999999999999999", "seed.*99999999999999999999"),
    ("sample run --label 3", "label: expected a model that is given labels, got one with condition 'none'"),
    ("sample label --label 3", "label: expected one of 7, ant, bee, got '3'"),
    ("sample label --label wasp", "label: expected one of 7, ant, bee, got 'wasp'"),
    ("sample run --out a.jpg", "out: expected a file that ends in .png or .npz, got 'a.jpg'"),
    ("sample run --out taken.png", "out: taken.png already exists; expected --force or another name"),
    ("sample run --out nowhere/a.png", "out: expected a folder at .*nowhere, got nothing"),
    ("sample bare", "run: expected model.safetensors in bare, got none"),
    # compare
    ("compare", "Missing argument 'RUNS...'"),
    ("compare run nowhere", "run: expected a run folder .* at nowhere, got nothing"),
    (
        "compare run unfinished",
        "expected a finished run at unfinished, got one without summary.json; go on with: .*--out unfinished",
    ),
    ("compare run --out a.pdf", "out: expected a file that ends in .png, got 'a.pdf'"),
    ("compare run --out taken.png", "out: taken.png already exists; expected --force or another name"),
    ("compare run --out nowhere/a.png", "out: expected a folder at .*nowhere, got nothing"),
    # list
    ("list figurs", "(?=.*presets)(?=.*'figurs').*did you mean 'figures'"),
]


@pytest.mark.parametrize(("line", "expected"), BAD_INPUT, ids=[line for line, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_leaves_the_disk_as_it_was(line, expected, world, capsys):
    before = listing(world)
    assert pyrovae(line) == 2
    error = capsys.readouterr().err
    assert error.startswith("pyrovae: ")
    assert error.count("\n") == 1
    assert re.search(expected, error)
    assert listing(world) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
@pytest.mark.parametrize("line", ["train --device cuda", "train --resume --out run --device cuda"])
def test_no_cuda_is_bad_input(line, world, capsys):
    before = listing(world)
    assert pyrovae(line) == 2
    assert (
        capsys.readouterr().err == "pyrovae: device: expected cpu or one of this machine's 0 CUDA devices, got 'cuda'\n"
    )
    assert listing(world) == before


def test_a_loss_that_is_not_finite_exits_with_1(here, capsys):
    assert pyrovae(f"train --lr 1e30 {TINY}") == 1
    assert re.fullmatch(r"pyrovae: epoch 1, step 2: expected a finite loss, got .*\n", capsys.readouterr().err)


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
    drawn = {f"figures/{name}.png" for name in FIGURES.keys() - {"conditions", "completions"}}
    wanted = {"config.toml", "metrics.jsonl", "model.safetensors", "checkpoint.pt", "summary.json"}
    assert wanted | drawn <= files
    assert files - wanted - drawn <= {"progress.safetensors", "figures/traversals.png"}
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
def test_a_run_is_called_after_where_it_starts_from(start, name, here, no_figures):
    np.savez("tiny.npz", images=np.arange(160, dtype=np.uint8).reshape(10, 4, 4))
    (here / "old").mkdir()
    for path in ("my.toml", "old/config.toml"):
        (here / path).write_text("lr = 0.5\nepochs = 7")
    assert pyrovae(f"train {start} --dataset npz:tiny.npz --epochs 1 {TINY} --out results/other") == 0
    assert pyrovae(f"train {start} --dataset npz:tiny.npz --epochs 1 {TINY}") == 0
    config = Run(f"results/{name}").config
    assert config == Run("results/other").config
    assert config.epochs == 1  # a flag goes over the file
    assert config.lr == (0.5 if "toml" in start else Config.from_toml(presets()["digits"]).lr)


def test_every_setting_is_a_flag(here, no_figures, capsys):
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
    assert pyrovae(f"train --out run {flags}") == 0
    assert Run("run").config == Config(**settings)


def test_force_replaces_a_run(here, no_figures):
    assert pyrovae(f"train --out run --epochs 2 {TINY}") == 0
    (here / "run/mine.txt").touch()
    assert pyrovae(f"train --out run --epochs 1 {TINY} --force") == 0
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
        without_figures(patch)
        assert pyrovae(f"train --out run --epochs 4 {TINY}") == 0
    return root / "run"


def assert_same_run(path, whole):
    assert metrics(path) == metrics(whole)
    assert (path / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert Run(path).config == Run(whole).config


def test_a_resumed_run_equals_an_uninterrupted_one(whole, here, no_figures):
    assert pyrovae(f"train --epochs 2 {TINY}") == 0
    assert pyrovae("train --resume --epochs 4") == 0
    assert_same_run(here / "results/digits", whole)
    assert pyrovae("train --resume") == 0  # nothing is left to do
    assert_same_run(here / "results/digits", whole)


def test_resume_without_a_name_takes_the_newest_run(here, no_figures):
    for _ in range(2):
        assert pyrovae(f"train --epochs 1 {TINY}") == 0
    assert pyrovae("train --resume --epochs 2") == 0
    assert [len(Run(f"results/{name}").metrics) for name in ("digits", "digits-2")] == [1, 2]


def test_resume_after_a_kill_in_the_middle_of_a_record(whole, here, no_figures):
    assert pyrovae(f"train --out run --epochs 2 {TINY}") == 0
    with (here / "run/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "seco')
    assert pyrovae("train --resume --out run --epochs 4") == 0
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
    def interrupted(run):
        raise KeyboardInterrupt

    patch.setattr("pyrovae.cli.session.draw", interrupted)


@pytest.mark.parametrize("interrupt", [interrupt_before_saving, interrupt_while_saving, interrupt_while_drawing])
@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("out", ["run", "'my run'"])
def test_ctrl_c_prints_the_command_that_goes_on(interrupt, epoch, out, whole, here, no_figures, capsys):
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, epoch)
        assert pyrovae(f"train --out {out} --epochs 4 {TINY}") == 130
    goes_on = re.search(r"go on with: pyrovae (.*)\n", capsys.readouterr().err)[1]
    (path,) = here.iterdir()
    assert not list(path.glob(".*"))  # no half-written file
    assert pyrovae(goes_on) == 0
    assert_same_run(path, whole)


def test_ctrl_c_in_a_resumed_run_keeps_its_new_number_of_epochs(whole, here, no_figures, capsys):
    assert pyrovae(f"train --out run --epochs 1 {TINY}") == 0
    with pytest.MonkeyPatch.context() as patch:
        interrupt_before_saving(patch, 3)
        assert pyrovae("train --out run --resume --epochs 4") == 130
    goes_on = re.search(r"go on with: pyrovae (.*)\n", capsys.readouterr().err)[1]
    assert pyrovae(goes_on) == 0
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


def test_a_small_step_takes_one_thread_unless_told_otherwise(here, monkeypatch, no_figures):
    threads = torch.get_num_threads()
    for given in ("2", None):
        torch.set_num_threads(2)
        monkeypatch.setenv("OMP_NUM_THREADS", given) if given else monkeypatch.delenv("OMP_NUM_THREADS")
        assert pyrovae(f"train --epochs 1 --out run{given} {TINY}") == 0
        assert torch.get_num_threads() == int(given or 1)
    torch.set_num_threads(threads)


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


def test_compare_does_not_rank_runs_of_two_kinds(world, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert pyrovae("compare run label") == 0
    table = capsys.readouterr().out
    assert "not ranked" in table
    assert "npz:labelled.npz" in table


def test_names_with_brackets_are_shown(world, no_figures, capsys):
    assert pyrovae(f"train --epochs 1 {TINY} --out 'run[a]'") == 0
    assert capsys.readouterr().out.count("run[a]") == 3
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

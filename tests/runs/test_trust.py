"""Anyone may have written a run folder: opening it runs no code, and neither reads nor writes outside the folder."""

import os
import pickle
import re
import shlex
import shutil
import zipfile

import numpy as np
import pytest
import torch
from support.files import noise, save_image
from support.runs import leave_out_digests

from pyrovae import Config, InputError, Run
from pyrovae.cli import main
from pyrovae.config.settings import CLASSES
from pyrovae.runs.estimates import Estimates
from pyrovae.runs.files import HOST, PART
from pyrovae.runs.trust import check_classes, is_signed

OWN = """
from pathlib import Path
Path({mark!r}).touch()
from pyrovae.parts.likelihoods import Bernoulli
from pyrovae.parts.networks import MLP
from pyrovae.inference.objectives import TraceELBO
from pyrovae.parts.missingness import Increasing
from pyrovae.parts.posteriors import Diagonal
from pyrovae.parts.priors import Normal
from pyrovae.vae import VAE
from torch.nn import ReLU
"""
MEMBERS = {
    "program": "VAE",
    "network": "MLP",
    "activation": "ReLU",
    "likelihood": "Bernoulli",
    "prior": "Normal",
    "posterior": "Diagonal",
    "objective": "TraceELBO",
    "missingness": "Increasing",
}
TRAIN = "--epochs 1 --hidden 16 --device cpu"
RESUME = "train --resume --out run --no-figures --epochs 2"
ANEW = "train --config run/config.toml --no-figures --out new"


def pyrovae(line, capsys=None):
    """Run a command line; return its exit code, and with `capsys` also what it wrote to stderr."""
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(line))
    return caught.value.code if capsys is None else (caught.value.code, capsys.readouterr().err)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on digits, with an unfinished evaluation."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert pyrovae(f"train --out run {TRAIN} --no-figures") == 0
    underway = Estimates(root / "run", {"samples": 5000, "images": 359, "seed": 0, "device": "cpu"})
    underway.add({"elbo": torch.zeros(50)})
    underway.write()
    return root / "run"


@pytest.fixture
def run(made, here):
    return shutil.copytree(made, here / "run")


def edit(run, **settings):
    """Change settings in config.toml as somebody else could, to any text."""
    config = (run / "config.toml").read_text(encoding="utf-8")
    for name, value in settings.items():
        config = re.sub(f"^{name} = .*\n", "", config, flags=re.MULTILINE) + f'{name} = "{value}"\n'
    (run / "config.toml").write_text(config)
    leave_out_digests(run)


# --- pickles ---


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def bare(path):
    path.write_bytes(pickle.dumps(Evil()))


def in_torchs_own_format(path):
    torch.save({"model": Evil(), "progress": {}}, path)


def in_a_checkpoint(path):
    """Replace one entry of an otherwise valid checkpoint."""
    state = torch.load(path, weights_only=True)
    part = next(iter(state.values()))
    part[next(iter(part))] = Evil()
    torch.save(state, path)


def in_the_old_format(path):
    torch.save({"model": Evil()}, path, _use_new_zipfile_serialization=False)


def as_an_array(path):
    with path.open("wb") as file:
        np.save(file, np.array([Evil()], dtype=object), allow_pickle=True)


def in_a_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "archive/data.pkl", "images.npy"):
            archive.writestr(name, pickle.dumps(Evil()))


PICKLES = [bare, in_torchs_own_format, in_a_checkpoint, in_the_old_format, as_an_array, in_a_zip]


def test_the_crafted_pickle_would_run_code(here):
    pickle.loads(pickle.dumps(Evil()))
    assert (here / "pwned").exists()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("checkpoint.pt", RESUME),
        ("evaluation.pt", "evaluate run --resume --device cpu"),
    ],
)
@pytest.mark.parametrize("crafted", PICKLES)
def test_a_crafted_checkpoint_runs_no_code(crafted, name, line, run, capsys):
    crafted(run / name)
    code, error = pyrovae(line, capsys)
    assert code == 2
    assert error.startswith(f"pyrovae: run: expected a sound {name} in run, got: ")
    assert error.count("\n") == 1
    assert not (run.parent / "pwned").exists()


READERS = {
    "model.safetensors": "plot run samples",
    "progress.safetensors": "plot run progress",
    "metrics.jsonl": "plot run losses",
    "summary.json": "compare run",
    "config.toml": "sample run",
}


@pytest.mark.parametrize("crafted", [bare, in_a_zip, as_an_array])
@pytest.mark.parametrize("name", READERS)
def test_a_pickle_in_place_of_any_file_runs_no_code(name, crafted, run, capsys):
    crafted(run / name)
    code, error = pyrovae(READERS[name], capsys)
    assert code == 2
    assert error.count("\n") == 1
    assert not (run.parent / "pwned").exists()


# --- the user's own classes ---

FROM_CONFIG = [ANEW, "sweep --seed 0,1 --config run/config.toml"]
COMMANDS = [
    "evaluate run --samples 2",
    "plot run samples",
    "sample run",
    RESUME,
]


@pytest.fixture
def own(here):
    (here / "own.py").write_text(OWN.format(mark=str(here / "pwned")))
    return "own.py"


@pytest.mark.parametrize(
    "command",
    [*COMMANDS, ANEW, "sweep --seed 0,1 --config run/config.toml"],
)
@pytest.mark.parametrize("family", CLASSES)
def test_a_class_that_a_run_names_is_loaded_only_if_it_is_repeated(family, command, run, own, here, capsys):
    edit(run, **{family: f"{own}:{MEMBERS[family]}"})
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    code, error = pyrovae(command, capsys)
    assert code == 2
    assert re.fullmatch(f"pyrovae: {family}: expected --{family} own.py:{MEMBERS[family]} beside .*; got none\n", error)
    assert before == {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_repeated_class_is_loaded_even_if_its_file_was_moved(command, run, own, here):
    edit(run, likelihood=f"{own}:Bernoulli")
    (here / "moved").mkdir()
    shutil.move(own, "moved/own.py")
    assert pyrovae(f"{command} --likelihood moved/own.py:Bernoulli") == 0
    assert (here / "pwned").exists()


def test_a_component_of_pyrovae_cannot_be_replaced_by_an_own_class(run, own, here, capsys):
    code, error = pyrovae("plot run samples --likelihood own.py:Bernoulli", capsys)
    assert (code, error) == (2, "pyrovae: likelihood: expected bernoulli, as run has it, got own.py:Bernoulli\n")
    assert not (here / "pwned").exists()


def test_a_sweep_repeats_an_own_class_to_its_workers(own, here):
    line = f"sweep --likelihood own.py:Bernoulli --seed 0,1 --evaluate 3 --no-figures --jobs 2 --out sweep {TRAIN}"
    assert pyrovae(line) == 0
    assert len(list(here.glob("sweep/*/evaluation.json"))) == 2
    assert pyrovae("compare sweep") == 0  # it reads only numbers, and no class


def test_python_loads_an_own_class_only_if_it_is_repeated(run, own, here):
    edit(run, prior=f"{own}:Normal")
    with pytest.raises(InputError, match=r"prior: expected --prior own\.py:Normal beside run"):
        _ = Run("run").vae
    assert not (here / "pwned").exists()
    assert Run("run", prior="own.py:Normal").vae.prior is not None
    with pytest.raises(InputError, match="expected"):
        check_classes(Run("run").config, (), run)


# --- places ---


@pytest.fixture
def images(here):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(here / "images.npz", images=pixels)
    return "npz:images.npz"


PLACED = ["evaluate run --samples 2", "plot run reconstructions", RESUME]


@pytest.mark.parametrize("command", [*PLACED, ANEW])
@pytest.mark.parametrize(("name", "value"), [("dataset", "npz:/etc/passwd"), ("data_dir", "/etc")])
def test_data_outside_the_run_of_another_user_are_not_read(name, value, command, run, here, capsys, monkeypatch):
    edit(run, **{name: value})
    monkeypatch.setattr("pyrovae.data.loading.read_source", lambda *_: pytest.fail("it was read"))
    code, error = pyrovae(command, capsys)
    assert code == 2
    flag = name.replace("_", "-")
    assert re.match(
        f"pyrovae: {name}: expected --{flag} {value} beside .* and was not made by you here; got none\n", error
    )


@pytest.mark.parametrize("command", PLACED)
def test_data_outside_the_users_own_run_are_read(command, images, here):
    assert pyrovae(f"train --dataset {images} --out run {TRAIN} --no-figures") == 0
    assert is_signed(here / "run")
    assert pyrovae(command) == 0
    shutil.move(here / "run", here / "elsewhere")
    assert pyrovae(command.replace("run", "elsewhere", 1) if "--out" not in command else "sample elsewhere") == 0


def test_an_edited_config_loses_its_signature(images, here, capsys):
    assert pyrovae(f"train --dataset {images} --out run {TRAIN} --no-figures") == 0
    shutil.copy("images.npz", "other.npz")
    edit(here / "run", dataset="npz:other.npz")
    assert pyrovae("evaluate run --samples 2") == 2
    assert "not made by you here" in capsys.readouterr().err
    assert pyrovae("evaluate run --samples 2 --dataset npz:other.npz") == 0


def test_another_user_must_repeat_the_place_of_data_once(images, here, monkeypatch):
    assert pyrovae(f"train --dataset {images} --out run {TRAIN} --no-figures") == 0
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "other home"))
    assert pyrovae("evaluate run --samples 2") == 2
    assert pyrovae("train --resume --out run --no-figures --epochs 2 --dataset npz:images.npz") == 0
    assert pyrovae("evaluate run --samples 2") == 0  # resuming has signed the config


def test_without_a_key_the_place_of_data_must_be_repeated(images, here, monkeypatch):
    (here / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "file"))
    assert pyrovae(f"train --dataset {images} --out run {TRAIN} --no-figures") == 0
    assert pyrovae("evaluate run --samples 2") == 2
    assert pyrovae(f"evaluate run --samples 2 --dataset {images}") == 0


def test_only_the_user_can_read_the_key(images, here):
    assert pyrovae(f"train --dataset {images} --out run {TRAIN} --no-figures") == 0
    assert (here / "home/pyrovae/key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (here / "home/pyrovae").iterdir()] == ["key"]


def test_data_inside_a_run_folder_are_read(run, images, here):
    shutil.copy("images.npz", run)
    edit(run, dataset=f"npz:{run / 'images.npz'}")
    assert pyrovae("evaluate run --samples 2") == 0


def _private_image(data, private):
    (data / "a").mkdir()
    (data / "a/00.png").symlink_to(private / "secret.png")


def _private_folder(data, private):
    (data / "a").symlink_to(private)


def _private_folder_by_way_of_a_link_inside(data, private):
    (data.parent / "detour").symlink_to(private)
    (data / "a").symlink_to("../detour")


def _itself_a_link(data, private):
    data.rmdir()
    data.symlink_to(private)


LINKS = [_private_image, _private_folder, _private_folder_by_way_of_a_link_inside, _itself_a_link]


@pytest.mark.parametrize("command", ["evaluate run --samples 2 --device cpu", "plot run reconstructions"])
@pytest.mark.parametrize("link", LINKS)
def test_a_link_among_the_data_inside_a_run_leads_nowhere_else(link, command, run, here, capsys):
    """Private images would otherwise end in the figures of a stranger's run."""
    private, data = here / "private", run / "data"
    for folder in (private, data):
        folder.mkdir()
    for name in ("secret", "other", "third"):
        save_image(private / f"{name}.png", noise(8, 8))
    link(data, private)
    edit(run, dataset=f"folder:{data}")
    code, error = pyrovae(command, capsys)
    assert code == 2
    assert re.search(r"got a link at .*run/data/a|names this place outside itself", error)
    assert error.count("\n") == 1


def test_a_link_among_the_data_that_the_user_names_is_followed(run, here):
    data = run / "data"
    data.mkdir()
    for number in range(4):
        save_image(here / f"private/{number}.png", noise(8, 8))
        (data / f"{number}.png").symlink_to(here / f"private/{number}.png")
    edit(run, dataset=f"folder:{data}")
    assert pyrovae(f"evaluate run --samples 2 --device cpu --dataset folder:{data}") == 0
    assert pyrovae("evaluate run --samples 2 --device cpu --trust") == 0


# --- links ---


def test_trust_runs_a_class_that_a_run_names(run, here):
    (here / "own.py").write_text(OWN.format(mark=str(here / "executed")), encoding="utf-8")
    edit(run, prior="own.py:Normal")
    assert pyrovae("sample run") == 2
    assert not (here / "executed").exists()
    assert pyrovae("sample run --trust") == 0
    assert (here / "executed").exists()


@pytest.mark.parametrize("name", ["config.toml", "metrics.jsonl", "checkpoint.pt", "model.safetensors", "summary.json"])
@pytest.mark.parametrize("command", [RESUME, "compare run", "train --force --no-figures --out run"])
def test_a_link_to_outside_is_neither_read_nor_written(name, command, run, here, capsys):
    shutil.move(run / name, here / "outside")
    (run / name).symlink_to(here / "outside")
    before = (here / "outside").read_bytes()
    code, error = pyrovae(command, capsys)
    assert (code, error) == (2, f"pyrovae: run: expected a file {name} in run itself, got a link\n")
    assert (here / "outside").read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [
        *("plot loop", "evaluate loop", "sample loop", "explore loop", "gradients loop", "explain loop"),
        *("report loop", "compare loop loop", "train --resume --out loop", f"train --out loop {TRAIN}"),
        *(f"train --out loop/run {TRAIN}", f"train --config loop {TRAIN}", f"train --config loop/config.toml {TRAIN}"),
        *(f"train --dataset folder:loop {TRAIN}", f"train --dataset npz:loop {TRAIN}", "sweep --out loop --seed 0,1"),
        *(
            f"train --dataset mnist --data-dir loop {TRAIN}",
            "sample run --out loop/x.png",
            "explain --figure loop/x.png",
        ),
    ],
)
def test_a_link_that_leads_to_itself_is_refused_wherever_a_path_is_named(command, run, here, capsys, no_network):
    (here / "loop").symlink_to("loop")
    code, error = pyrovae(command, capsys)
    assert code == 2
    assert error.startswith("pyrovae: ")
    assert error.count("\n") == 1


def test_figures_are_not_drawn_through_a_link(run, here, capsys):
    (here / "outside").mkdir()
    shutil.rmtree(run / "figures", ignore_errors=True)
    (run / "figures").symlink_to(here / "outside")
    assert pyrovae("plot run losses") == 2
    assert "got a link" in capsys.readouterr().err
    assert not list((here / "outside").iterdir())


def test_a_link_in_place_of_a_temporary_file_is_not_followed(run, here):
    (here / "outside").write_text("mine")
    for name in (f"{PART}{HOST}-{2**22 + 1}-ab", ".checkpoint.pt.part"):
        (run / name).symlink_to(here / "outside")
    assert pyrovae(RESUME) == 0
    assert (here / "outside").read_text(encoding="utf-8") == "mine"


# --- versions ---


def test_a_config_without_later_settings_is_read_with_their_defaults(run):
    """A setting that did not exist yet has the default that corresponds to the behaviour of that time."""
    config = (run / "config.toml").read_text(encoding="utf-8")
    leave_out_digests(run)
    (run / "config.toml").write_text(re.sub("^(grad_clip|on_nan|save_minutes) = .*\n", "", config, flags=re.MULTILINE))
    assert Run(run).config == Config.from_toml(config)
    assert pyrovae(RESUME) == 0


def test_a_run_of_another_version_is_refused(run, capsys):
    text = (run / "summary.json").read_text(encoding="utf-8")
    (run / "summary.json").write_text(re.sub('"pyrovae": "[^"]*"', '"pyrovae": "7.0.1"', text))
    assert pyrovae("plot run") == 2
    assert "expected a run of pyrovae 0.1, got one of 7.0.1 at run" in capsys.readouterr().err

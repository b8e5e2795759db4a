"""`train`: one call leaves the files of `pyrovae train`, bit for bit."""

import warnings

import pytest
import torch
from support.builders import contents
from support.commands import pyrovae

from pyrovae import Config, InputError, Run, train
from pyrovae.commands import threads
from pyrovae.commands.folders import claimed, name_after, new_folder
from pyrovae.commands.train import Training
from pyrovae.inference.processes import joined
from pyrovae.runs.evaluating import Evaluating
from pyrovae.runs.files import NoRoom, only_writer

TINY = "--hidden 16 --device cpu --validation 50"
SMALL = Config(hidden=(16,), device="cpu", validation=50)


@pytest.fixture(autouse=True)
def _short_runs_may_collapse():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "epoch .* the posterior collapses")
        yield


def test_it_leaves_the_files_of_the_command(here, capsys):
    assert pyrovae(f"train --epochs 2 --out command {TINY}") == 0
    capsys.readouterr()
    run = train(SMALL, "call", epochs=2)
    assert capsys.readouterr().out == ""
    assert run.finished
    assert contents(here / "call") == contents(here / "command")
    files = [{path.relative_to(here / name) for path in (here / name).rglob("*")} for name in ("call", "command")]
    assert files[0] == files[1]


def test_without_a_folder_it_takes_the_next_free_name(here):
    names = [train(SMALL, epochs=1, figures=False).path.as_posix() for _ in range(2)]
    assert names == ["results/digits", "results/digits-2"]
    assert train(SMALL, name="mine", epochs=1, figures=False).path.as_posix() == "results/mine"


def test_it_goes_on_as_if_it_had_not_been_ended(here):
    train(SMALL, "whole", epochs=3, figures=False)
    train(SMALL, "parts", epochs=1, figures=False)
    assert train(out="parts", resume=True, epochs=3, figures=False).summary["final"]["epoch"] == 3
    whole, parts = contents(here / "whole"), contents(here / "parts")
    assert parts == whole


def test_ctrl_c_in_the_loop_leaves_a_run_that_goes_on(here):
    train(SMALL, "whole", epochs=3, figures=False)
    training = Training(SMALL, "parts", settings={"epochs": 3})

    def interrupted():
        with joined(torch.device("cpu")), training.begin():
            for event in training:
                if not isinstance(event, str):
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    train(out="parts", resume=True, figures=False)
    assert contents(here / "parts") == contents(here / "whole")


def test_a_run_is_resumed_only_with_its_own_settings(here):
    train(SMALL, "run", epochs=1, figures=False)
    with pytest.raises(InputError, match="resume: expected hidden 16, as run has it, got 9"):
        train(Config(hidden=(9,)), "run", resume=True)
    with pytest.raises(InputError, match=r"resume: expected beta 1.0, as run has it, got 2.0; .* may change "):
        train(out="run", resume=True, beta=2)
    assert train(SMALL, "run", resume=True, epochs=2, beta=1, figures=False).summary["final"]["epoch"] == 2


def test_force_replaces_a_run(here):
    train(SMALL, "run", epochs=2, figures=False)
    with pytest.raises(InputError, match="run already holds a run"):
        train(SMALL, "run", epochs=1, figures=False)
    assert len(train(SMALL, "run", epochs=1, force=True, figures=False).metrics) == 1


def test_torch_has_its_threads_again(here, two_threads):
    assert train(SMALL, "run", epochs=1, figures=False).summary["threads"] == 1
    assert torch.get_num_threads() == 2


def test_the_summary_says_what_threads_steps_ran_on_and_a_resumed_run_may_name_them(here, alternating, monkeypatch):
    monkeypatch.setattr(threads, "SMALL_STEP", 0)
    summary = train(SMALL, "run", epochs=1).summary
    assert (summary["threads"], summary["threads_used"]) == (2, [1, 2])
    assert summary["device"].endswith(", 1 or 2 threads")
    assert "<td>1 or 2</td>" in (here / "run/report.html").read_text(encoding="utf-8")
    assert "threads" not in (here / "run/config.toml").read_text(encoding="utf-8")
    resumed = train(out="run", resume=True, epochs=2, threads=1, figures=False)
    assert (resumed.config.threads, resumed.summary["threads_used"]) == (1, [1, 2])
    named = train(SMALL, "named", epochs=1, threads=3, figures=False).summary
    assert (named["threads"], named["device"][-9:], "threads_used" in named) == (3, "3 threads", False)
    assert {torch.get_num_threads() for _ in Evaluating(Run("named"), 9, device="cpu")} == {3}
    assert torch.get_num_threads() == 2


BAD_CALLS = [
    ({"latnet_dim": 3}, "unknown setting 'latnet_dim'"),
    ({"likelihood": "gausian"}, "likelihood: expected one of .* did you mean 'gaussian'"),
    ({"dataset": "npz:nowhere.npz"}, "dataset: expected .*nowhere.npz"),
    ({"config": SMALL, "pixels": "dynamic", "likelihood": "gaussian"}, "pixels: .* got 'dynamic'"),
    ({"out": ""}, "out: expected a path, got ''"),
    ({"resume": True, "force": True}, "resume: expected --resume or --force, got both"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD_CALLS, ids=[str(message) for _, message in BAD_CALLS])
def test_bad_calls_are_refused_before_a_folder_is_made(arguments, expected, here):
    with pytest.raises(InputError, match=expected):
        train(**arguments)
    assert not list(here.iterdir())


def test_a_full_disk_is_an_error_of_its_own(here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "record", full)
    with pytest.raises(NoRoom, match="expected room to write to run, got: No space left on device"):
        train(SMALL, "run", epochs=1, figures=False)


def test_a_folder_that_another_process_takes_first_is_passed_over(here):
    paths = new_folder("mine")
    (here / "results").mkdir()
    (here / "results/mine").mkdir()
    path, made = claimed(paths)
    assert (path.as_posix(), path.is_dir(), made) == ("results/mine-2", True, True)
    with only_writer(path, made):
        assert path.is_dir()
    assert not path.exists()  # it was left empty


@pytest.mark.parametrize(
    ("dataset", "name"), [("digits", "digits"), ("npz:data/my photos.npz", "my-photos"), ("folder:photos", "photos")]
)
def test_a_run_is_named_after_its_dataset(dataset, name):
    assert name_after(dataset) == name

"""A run finds its data from another working directory, and says where; a stranger's run does not look for files."""

import os
import shutil

import numpy as np
import pytest
from support.commands import pyrovae
from support.files import noise

from pyrovae import InputError, Run
from pyrovae.runs.trust import SIGNATURE


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A run that was made in a sub-folder, with data beside it; its path."""
    folder = tmp_path / "project" / "sub"
    folder.mkdir(parents=True)
    np.savez(folder / "a.npz", images=noise(30, 6, 6))
    monkeypatch.chdir(folder)
    assert pyrovae("train --dataset npz:a.npz --epochs 1 --hidden 4 --no-figures --out runs/one") == 0
    return folder / "runs" / "one"


@pytest.mark.filterwarnings("default:dataset")
def test_a_run_opens_from_another_folder_and_says_what_it_reads(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match=f"dataset: a.npz is not here, and is read from {made.parents[1] / 'a.npz'}"):
        assert len(Run(made).data.train) == 24
    assert pyrovae(f"evaluate {os.path.relpath(made)} --samples 5 --images 4") == 0
    assert "warning: dataset: a.npz is not here, and is read from" in capsys.readouterr().err


def test_data_that_are_here_come_first(made, tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", images=noise(10, 6, 6))
    monkeypatch.chdir(tmp_path)
    assert len(Run(made).data.train) == 8


def test_data_that_are_nowhere_are_named(made, tmp_path, monkeypatch):
    (made.parents[1] / "a.npz").unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"expected an npz or npy file at a.npz, got"):
        _ = Run(made).data


def test_data_that_have_moved_are_named_again(made, tmp_path, monkeypatch):
    shutil.move(made.parents[1] / "a.npz", tmp_path / "moved.npz")
    monkeypatch.chdir(tmp_path)
    assert len(Run(made, dataset="npz:moved.npz").data.train) == 24


def test_a_strangers_run_looks_for_nothing(made, tmp_path, monkeypatch):
    (made / SIGNATURE).unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"dataset: expected --dataset npz:a.npz beside"):
        _ = Run(made).data

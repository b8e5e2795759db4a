"""The command `pyrovae gradients`."""

import json

import pytest

from pyrovae.cli import main


def test_the_command_measures_a_run(tmp_path, capsys):
    run = str(tmp_path / "run")
    for command in (f"train --epochs 1 --out {run}", f"gradients {run} --draws 3 --images 10 --particles 2"):
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        assert not stop.value.code
    file = json.loads((tmp_path / "run/gradients.json").read_text(encoding="utf-8"))
    assert [(row["objective"], row["particles"]) for row in file["gradients"]] == [
        ("elbo", 1),
        ("analytic", 1),
        ("stl", 1),
        ("iwae", 2),
        ("dreg", 2),
    ]
    assert (file["draws"], file["images"]) == (3, 10)
    assert all(row["guide"]["variance"] > 0 and row["model"]["snr"] > 0 for row in file["gradients"])
    with pytest.raises(SystemExit, match="2"):
        main(["gradients", run, "--particles", "8,x"])
    assert "particles: expected a whole number from 2 to 1000000000, got 'x'" in capsys.readouterr().err


def test_a_run_with_a_users_class_is_measured_if_the_class_is_named_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = "from pyrovae.parts.likelihoods import LIKELIHOODS\n\nOwn = LIKELIHOODS['bernoulli']\n"
    (tmp_path / "own.py").write_text(own, encoding="utf-8")
    measured = "gradients run --draws 2 --images 5 --particles 2"
    for command, code in (
        ("train --epochs 1 --likelihood own.py:Own --out run", 0),
        (measured, 2),
        (f"{measured} --likelihood own.py:Own", 0),
    ):
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        assert (stop.value.code or 0) == code, capsys.readouterr().err

"""The folder of a sweep: which of its runs are kept, and which are made anew."""

import json
import shutil

from support.commands import pyrovae
from support.sweeps import TINY

from pyrovae import Run


def test_more_seeds_and_values_join_a_sweep(swept, in_this_process, capsys):
    assert pyrovae(f"sweep --seed 0,1,2 --latent-dim 2,4 --epochs 3 --out sweep {TINY}") == 0
    assert "6 runs in sweep: 2 done, 4 to do" in capsys.readouterr().out
    rows = json.loads((swept / "sweep.json").read_text())["rows"]
    assert [(row["settings"]["latent_dim"], row["loss"]["n"]) for row in rows] == [(2, 3), (4, 3)]


def test_force_replaces_runs_of_other_settings_alone(swept, in_this_process, capsys):
    shutil.copytree(swept / "latent_dim=3,seed=0", swept / "other")
    line = f"sweep --latent-dim 2,3 --seed 0,1 --epochs 3 --out sweep --force {TINY}"
    text = (swept / "latent_dim=2,seed=1/config.toml").read_text()
    (swept / "latent_dim=2,seed=1/config.toml").write_text(text.replace("epochs = 3", "epochs = 2"))
    assert pyrovae(line) == 0
    assert "3 done, 1 to do" in capsys.readouterr().out
    assert len(Run(swept / "latent_dim=2,seed=1").metrics) == 3

import pytest
from support.builders import small_vae
from support.runs import trained

from pyrovae import InputError, Run


def test_force_deletes_the_files_of_a_run_and_no_others(tmp_path):
    run, _ = trained(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    Run.create(tmp_path, run.config, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "notes.txt"]


def test_files_with_the_names_of_a_runs_files_are_deleted_only_with_force(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.pdf").write_text("mine")
    (tmp_path / "summary.json").write_text("mine too")
    with pytest.raises(InputError, match=r"already holds summary\.json; expected --force"):
        Run.create(tmp_path, small_vae()[1])
    Run.create(tmp_path, small_vae()[1], force=True)
    assert (tmp_path / "figures" / "mine.pdf").read_text(encoding="utf-8") == "mine"

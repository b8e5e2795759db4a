import pytest
from support.builders import small_vae
from support.runs import trained

from pyrovae import InputError, Run


def test_force_deletes_the_files_of_a_run_and_no_others(tmp_path):
    run, _ = trained(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    Run.create(tmp_path, run.config, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "config.toml", "notes.txt"]


@pytest.mark.parametrize(
    "files",
    [
        {"summary.json": "{}"},
        {"config.toml": "[tool]\nname = 'another program'\n", "checkpoint.pt": "mine"},
        {"config.toml": "epochs = 3\n"},  # pyrovae writes every setting
        {"config.toml": "\x00", "metrics.jsonl": "mine"},
    ],
)
def test_files_of_another_program_are_not_replaced_even_with_force(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for force in (False, True):
        with pytest.raises(InputError, match=r"already holds|expected a run (of pyrovae )?to replace"):
            Run.create(tmp_path, small_vae()[1], force=force)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == files

import pytest
from support.runs import trained


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    run, fitting = trained(tmp_path, epochs=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr("pyrovae.runs.files.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        run.record({"epoch": 3, "seconds": 0.0, "train": {}, "test": {}}, fitting)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*.part"))

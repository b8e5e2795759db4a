import multiprocessing
import os
import re
import threading
import time
from pathlib import Path

import pytest
from support.runs import trained

from pyrovae import InputError
from pyrovae.runs import files
from pyrovae.runs.files import HOST, LOCK, MOST_BYTES, PART, expect_own, only_writer, remove_stale, write_whole

GONE = 2**22 + 1  # no process of Linux has such a number


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    run, fitting = trained(tmp_path, epochs=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        run.record({"epoch": 3, "seconds": 0.0, "train": {}, "test": {}}, fitting)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob(f"{PART}*"))


# --- several processes at once ---


def test_writers_of_one_file_never_tear_it(tmp_path):
    path, contents = tmp_path / "report.html", [letter * 100_000 for letter in "abcd"]
    write_whole(path, contents[0])
    ended = threading.Event()

    def write(content):
        while not ended.is_set():
            write_whole(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    read, until = [], time.monotonic() + 30  # on a busy machine the writers may begin late
    while len(read) < 300 or (len({*read}) < 2 and time.monotonic() < until):
        read.append(path.read_text(encoding="utf-8"))
    ended.set()
    for writer in writers:
        writer.join()
    assert {*read} <= {*contents}
    assert len({*read}) > 1  # they did write at the same time
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def _enter_and_leave(folder, seconds, entered, met):
    """Lock the folder again and again; count how often that worked, and how often another process was inside, too."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with only_writer(folder):
                try:
                    inside = os.open(folder.parent / "inside", os.O_CREAT | os.O_EXCL)
                except FileExistsError:
                    met.value += 1
                    continue
                os.close(inside)
                (folder.parent / "inside").unlink()
                entered.value += 1
        except InputError as error:
            if not re.search("at work on|expected to write", str(error)):
                raise


def test_a_lock_lets_in_one_process_at_a_time_even_while_the_folder_comes_and_goes(tmp_path):
    forks = multiprocessing.get_context("fork")
    counts = [(forks.Value("i"), forks.Value("i")) for _ in range(3)]
    workers = [forks.Process(target=_enter_and_leave, args=(tmp_path / "run", 2.0, *pair)) for pair in counts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert all(entered.value > 0 for entered, _ in counts)
    assert not any(met.value for _, met in counts)


def test_a_lock_file_stays_for_those_who_wait_for_it(tmp_path):
    (tmp_path / "kept").touch()
    with only_writer(tmp_path):
        number = (tmp_path / LOCK).stat().st_ino
    assert (tmp_path / LOCK).stat().st_ino == number


def test_only_temporary_files_of_processes_that_have_ended_are_deleted(tmp_path):
    stale = tmp_path / f"{PART}{HOST}-{GONE}-ab"
    old = tmp_path / f"{PART}{'0' * 8}-{os.getpid()}-ab"
    kept = [
        tmp_path / f"{PART}{HOST}-{os.getpid()}-ab",  # this process may still be writing
        tmp_path / f"{PART}{'0' * 8}-{GONE}-ab",  # whether that process runs, only its own machine knows
        tmp_path / ".notes.part",  # somebody else's
    ]
    for path in (stale, old, *kept):
        path.touch()
    two_days_ago = time.time() - 2 * files.A_DAY
    os.utime(old, (two_days_ago, two_days_ago))
    (tmp_path / f"{PART}{HOST}-{GONE}-folder").mkdir()
    (tmp_path / "figures").mkdir()
    (tmp_path / f"figures/{PART}{HOST}-{GONE}-ab").touch()
    remove_stale(tmp_path)
    assert not stale.exists()
    assert not old.exists()
    assert all(path.exists() for path in kept)
    assert not list((tmp_path / "figures").iterdir())


# --- the door to the files of a run ---

NAMES = ["config.toml", "summary.json", "metrics.jsonl", "model.safetensors", "checkpoint.pt", ".signature", LOCK]


def _link(path: Path) -> None:
    (path.parent / "other").write_text("private", encoding="utf-8")
    path.symlink_to("other")


THINGS = {
    "a link": _link,
    "a link that leads to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_of_a_run_is_refused_unread(name, thing, tmp_path):
    THINGS[thing](tmp_path / name)
    with pytest.raises(InputError, match=f"expected a file {re.escape(name)} in .* itself, got {thing[:6]}"):
        expect_own(tmp_path, name)


@pytest.mark.parametrize("name", ["config.toml", "summary.json", "metrics.jsonl", "figures/losses.png", ".signature"])
def test_a_file_that_is_too_large_is_refused_unread(name, tmp_path):
    (tmp_path / "figures").mkdir()
    most = MOST_BYTES[Path(name).suffix or name]
    with (tmp_path / name).open("wb") as file:
        file.truncate(most)
    assert expect_own(tmp_path, name) == tmp_path / name
    with (tmp_path / name).open("wb") as file:
        file.truncate(3_000_000_000)  # sparse: it takes no room on the disk
    with pytest.raises(InputError, match="got 3,000,000,000 bytes, more than"):
        expect_own(tmp_path, name)

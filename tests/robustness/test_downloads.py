"""Downloads a missing dataset: it is downloaded once and whole, even if many processes want it or one is killed."""

import contextlib
import gzip
import hashlib
import os
import signal
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torchvision.datasets as tv
from support.downloads import read_mnist
from support.files import noise, write_idx
from support.forked import FORKS

from pyrovae.data.sources import fetch, read_source
from pyrovae.errors import InputError

PROCESSES, PIECES = 10, 20


@pytest.fixture
def mirror(tmp_path):
    """Serve a small MNIST slowly; with `kill`, kill the process that downloads in the middle of its first file."""
    files, resources, made = {}, [], {}
    for part, n in (("train", 20), ("t10k", 10)):
        made[part] = noise(n, 28, 28)
        for kind, array in (("images-idx3", made[part]), ("labels-idx1", np.arange(n, dtype=np.uint8) % 10)):
            write_idx(path := tmp_path / "made" / f"{part}-{kind}-ubyte", array)
            files[f"/{path.name}.gz"] = packed = gzip.compress(path.read_bytes())
            resources.append((f"{path.name}.gz", hashlib.md5(packed).hexdigest()))
    state = SimpleNamespace(requests=[], kill=False, killed=None, resources=resources, images=made["train"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(files, state))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def handler(files, state):
    class Slow(BaseHTTPRequestHandler):
        def do_GET(self):
            content = files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.headers["Method"] == "HEAD":  # torchvision asks first whether it should follow a redirect
                return
            state.requests.append(self.path)
            step = -(-len(content) // PIECES)
            for place in range(0, len(content), step):
                if state.kill and not state.killed and place > len(content) / 2:
                    state.killed = int(self.headers["User-Agent"])
                    os.kill(state.killed, signal.SIGKILL)
                    return
                self.wfile.write(content[place : place + step])
                time.sleep(0.01)

        def log_message(self, *_):
            pass

    return Slow


def crowd(mirror, root, out):
    """Let ten processes read the dataset at the same moment; return exit codes and checksums of what they read."""
    out.mkdir()
    arguments = (mirror.url, mirror.resources, root, out, FORKS.Barrier(PROCESSES))
    processes = [FORKS.Process(target=read_mnist, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    codes = [process.exitcode for process in processes]
    return codes, [path.read_text(encoding="utf-8") for path in out.iterdir()]


@pytest.mark.parametrize("kill", [False, True], ids=["all live", "one is killed"])
def test_ten_processes_download_once_and_all_succeed(kill, mirror, tmp_path):
    mirror.kill, root = kill, tmp_path / "new" / "data"
    codes, checksums = crowd(mirror, root, tmp_path / "out")
    assert sorted(codes) == ([-signal.SIGKILL] if kill else []) + [0] * (PROCESSES - kill)
    assert len(checksums) == PROCESSES - kill
    assert len(set(checksums)) == 1  # all read the same
    files = [f"/{name}" for name, _ in mirror.resources]
    assert mirror.requests == files[:1] * kill + files
    assert [path.name for path in root.iterdir()] == ["MNIST"]  # no lock is left, and nothing of the killed process
    assert np.array_equal(read_source("mnist", root).images[:, 0], mirror.images)


@pytest.fixture
def here(mirror, monkeypatch):
    monkeypatch.setattr(tv.MNIST, "mirrors", [mirror.url])
    monkeypatch.setattr(tv.MNIST, "resources", mirror.resources)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return mirror


class Killed(BaseException):
    """Stops a download in this process as abruptly as a signal."""


@contextlib.contextmanager
def stays(prefix, dir):
    """Make a temporary folder and leave it, as a kill does."""
    yield tempfile.mkdtemp(prefix=prefix, dir=dir)


@pytest.mark.parametrize("files", range(9))
def test_files_that_a_killed_process_put_in_place_are_whole(files, here, tmp_path, monkeypatch):
    """Kill the process after it moved so many files: there are 4 archives, and what was in them."""
    (tmp_path / "data/MNIST/raw").mkdir(parents=True)  # so that they are moved one by one
    moved, replace = [], os.replace

    def killed(source, target):
        if len(moved) == files:
            raise Killed
        moved.append(target.name)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(fetch.os, "replace", killed)
        patch.setattr(fetch.tempfile, "TemporaryDirectory", stays)
        if files < 8:
            with pytest.raises(Killed):
                read_source("mnist", tmp_path / "data")
            assert list((tmp_path / "data").glob(".download-*"))
        else:
            read_source("mnist", tmp_path / "data")
    assert np.array_equal(read_source("mnist", tmp_path / "data").images[:, 0], here.images)
    kept = sum(name.endswith(".gz") for name in moved)  # archives that serve again
    assert len(here.requests) == (4 if files > 6 else 8 - kept)  # the last file is an archive that is not needed


def test_a_half_unpacked_archive_is_not_taken_for_a_whole_one(here, tmp_path, monkeypatch):
    def half(archive, folder, *_):
        content = gzip.decompress(Path(archive).read_bytes())
        Path(folder, Path(archive).stem).write_bytes(content[:100])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(tv.utils, "extract_archive", half)
        with pytest.raises(Killed):
            read_source("mnist", tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert np.array_equal(read_source("mnist", tmp_path / "data").images[:, 0], here.images)


@pytest.mark.parametrize("wrong", ["another file", "no such file"])
def test_a_wrong_or_missing_download_leaves_no_files(wrong, here, tmp_path, monkeypatch):
    name, sum_ = here.resources[2]
    other = {"another file": (name, "0" * 32), "no such file": ("none.gz", sum_)}[wrong]
    monkeypatch.setattr(tv.MNIST, "resources", [*here.resources[:2], other])
    with pytest.raises(InputError, match="got missing or damaged files, and no download: "):
        read_source("mnist", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_files_that_are_there_are_not_downloaded_again(here, tmp_path):
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for name, _ in here.resources[:2]:
        here.requests.append(name)
    read_source("mnist", tmp_path)
    requests = list(here.requests)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    read_source("mnist", tmp_path)  # from its archive
    assert here.requests == requests

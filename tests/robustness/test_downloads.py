"""A data set that is not there: downloaded once, whole, however many processes want it and whichever is killed."""

import contextlib
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torchvision.datasets as tv
from support.files import noise, write_idx

from pyrovae.data.sources import fetch, read_source
from pyrovae.errors import InputError

PROCESSES, PIECES = 10, 20


@pytest.fixture
def mirror(tmp_path):
    """A small MNIST on a slow server, which may kill who downloads in the middle of the first file."""
    files, resources, made = {}, [], {}
    for part, n in (("train", 20), ("t10k", 10)):
        made[part] = noise(n, 28, 28)
        for kind, array in (("images-idx3", made[part]), ("labels-idx1", np.arange(n, dtype=np.uint8) % 10)):
            write_idx(path := tmp_path / "made" / f"{part}-{kind}-ubyte", array)
            files[f"/{path.name}.gz"] = packed = gzip.compress(path.read_bytes())
            resources.append((f"{path.name}.gz", hashlib.md5(packed).hexdigest()))
    state = SimpleNamespace(asked=[], kill=False, killed=None, resources=resources, images=made["train"])
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
            if self.headers["Method"] == "HEAD":  # how torchvision asks whether it is to go elsewhere
                return
            state.asked.append(self.path)
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


CROWD = """
import hashlib, json, os, sys, time
from pathlib import Path
import torchvision.datasets as tv
from pyrovae.data.sources import read_source

url, resources, root, out, n = json.loads(sys.argv[1])
tv.MNIST.mirrors, tv.MNIST.resources = [url], resources
start, pids = time.monotonic() + 0.5, []
for _ in range(n):  # forked here, so that torch is imported once
    if not (pid := os.fork()):
        tv.utils.USER_AGENT = str(os.getpid())
        time.sleep(max(0, start - time.monotonic()))  # all at once
        source = read_source("mnist", Path(root))
        held = b"".join(t.numpy().tobytes() for t in (source.images, source.labels, source.test_images))
        Path(out, str(os.getpid())).write_text(hashlib.md5(held).hexdigest())
        os._exit(0)
    pids.append(pid)
print(json.dumps({pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}))
"""


def crowd(mirror, root, out):
    """Ten processes that want the set at the same moment: their exit codes, and the sums of what they read."""
    out.mkdir()
    told = json.dumps([mirror.url, mirror.resources, str(root), str(out), PROCESSES])
    done = subprocess.run([sys.executable, "-c", CROWD, told], capture_output=True, text=True, timeout=120)
    codes = json.loads(done.stdout.splitlines()[-1])
    return codes, {int(path.name): path.read_text() for path in out.iterdir()}, done.stderr


@pytest.mark.parametrize("kill", [False, True], ids=["all live", "one is killed"])
def test_ten_processes_download_once_and_all_succeed(kill, mirror, tmp_path):
    mirror.kill, root = kill, tmp_path / "new" / "data"
    codes, sums, errors = crowd(mirror, root, tmp_path / "out")
    assert sorted(codes.values()) == ([-signal.SIGKILL] if kill else []) + [0] * (PROCESSES - kill), errors
    assert len(sums) == PROCESSES - kill
    assert len(set(sums.values())) == 1  # all read the same
    files = [f"/{name}" for name, _ in mirror.resources]
    assert mirror.asked == files[:1] * kill + files
    assert [path.name for path in root.iterdir()] == ["MNIST"]  # no lock, nothing of who was killed
    assert np.array_equal(read_source("mnist", root).images[:, 0], mirror.images)


@pytest.fixture
def here(mirror, monkeypatch):
    monkeypatch.setattr(tv.MNIST, "mirrors", [mirror.url])
    monkeypatch.setattr(tv.MNIST, "resources", mirror.resources)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return mirror


class Killed(BaseException):
    """As abrupt as a signal, in this process."""


@contextlib.contextmanager
def stays(prefix, dir):
    """A temporary folder that stays, as after a kill."""
    yield tempfile.mkdtemp(prefix=prefix, dir=dir)


@pytest.mark.parametrize("files", range(9))
def test_whatever_is_in_place_when_a_process_is_killed_is_whole(files, here, tmp_path, monkeypatch):
    """Killed after so many files were moved: 4 archives and what was in them."""
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
    assert len(here.asked) == (4 if files > 6 else 8 - kept)  # the last file is an archive that nobody misses


def test_an_archive_unpacked_by_half_is_not_taken_for_whole(here, tmp_path, monkeypatch):
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
def test_what_does_not_come_as_it_should_leaves_nothing(wrong, here, tmp_path, monkeypatch):
    name, sum_ = here.resources[2]
    other = {"another file": (name, "0" * 32), "no such file": ("none.gz", sum_)}[wrong]
    monkeypatch.setattr(tv.MNIST, "resources", [*here.resources[:2], other])
    with pytest.raises(InputError, match="got missing or damaged files, and no download: "):
        read_source("mnist", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_is_there_is_not_downloaded_again(here, tmp_path):
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for name, _ in here.resources[:2]:
        here.asked.append(name)
    read_source("mnist", tmp_path)
    asked = list(here.asked)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    read_source("mnist", tmp_path)  # from its archive
    assert here.asked == asked

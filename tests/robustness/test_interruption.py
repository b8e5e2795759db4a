"""Stops trainings at any moment and by any means: resumed, they end as if they had never been stopped."""

import json
import os
import random
import shutil
import signal
import time

import pytest
import torch
from support.builders import contents, small_fit, without_seconds
from support.commands import pyrovae
from support.forked import Training

from pyrovae import Config, InputError, Run
from pyrovae.runs.files import HOST, PART
from pyrovae.training.fit import Fit
from pyrovae.training.interrupts import Insisted, Interrupts, held_back

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills and signals of POSIX systems")

KILLS = int(os.environ.get("PYROVAE_KILLS", "10"))  # results/reliability.md: 200
SETTINGS = "--hidden 16 --epochs 12 --batch-size 16 --validation 100 --device cpu"


def finish(arguments, cwd, code=0, patch=""):
    """Run `pyrovae train` to its end, expect this exit code, and return what it prints."""
    process = Training(arguments, cwd, patch)
    out, error = process.communicate(timeout=300)
    assert process.returncode == code, error
    return out, error


def equal(state, other):
    """Check that two checkpoints are the same to the last bit."""
    if isinstance(state, dict):
        return state.keys() == other.keys() and all(equal(state[key], other[key]) for key in state)
    if isinstance(state, torch.Tensor):
        return torch.equal(state, other)
    if isinstance(state, (list, tuple)):
        return len(state) == len(other) and all(map(equal, state, other))
    return state == other


def assert_same(run, whole):
    """Check that two run folders have the same files and that no temporary file is left."""
    assert contents(run) == contents(whole)
    assert equal(*(torch.load(path / "checkpoint.pt", weights_only=True) for path in (run, whole)))
    assert not list(run.glob(f"{PART}*"))


@pytest.fixture(scope="module", params=["no"], ids=["eager"])
def whole(request, tmp_path_factory):
    """Train without any stop; return the run folder and its settings."""
    root, settings = tmp_path_factory.mktemp("whole"), f"{SETTINGS} --compile {request.param}"
    finish(f"--out run {settings}", root)
    return root / "run", settings


# --- killed ---

# Kills the process before or after some of these calls, and in the middle of some writes, after a part of the bytes.
SAVING = """
import io, random
from pyrovae.runs import files
write, chance = files.Path.open, random.Random({seed})
def kill(): os.kill(os.getpid(), signal.SIGKILL)
class Torn(io.FileIO):
    def write(self, content):
        if chance.random() < {odds}:
            super().write(content[: chance.randrange(len(content) + 1)])
            kill()
        return super().write(content)
def opened(path, mode="r", *rest, **options):
    return Torn(path, mode) if mode in ("xb", "ab") else write(path, mode, *rest, **options)
files.Path.open = opened
for name in ("replace", "fsync"):
    def either(*args, call=getattr(os, name)):
        if chance.random() < {odds}: kill()
        call(*args)
        if chance.random() < {odds}: kill()
    setattr(files.os, name, either)
"""


def killed(cwd, settings, seed):
    """Kill a training up to five times, at random moments or while it saves, and resume it; return how often."""
    chance, times = random.Random(seed), 0
    while True:
        in_a_write = chance.random() < 0.5
        resume = (cwd / "run/config.toml").exists()
        arguments = "--resume --out run" if resume else f"--out run {settings}"
        patch = SAVING.format(seed=chance.random(), odds=0.02) if in_a_write and times < 5 else ""
        process = Training(arguments, cwd, patch)
        if times < 5 and not in_a_write:
            begun = time.monotonic()
            while process.poll() is None and not (cwd / "run").exists() and time.monotonic() - begun < 60:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 1.5))
            process.send_signal(signal.SIGKILL)
        _, error = process.communicate(timeout=300)
        if process.returncode == 0:
            return times
        assert process.returncode == -signal.SIGKILL, error
        times += 1


@pytest.mark.parametrize("whole", ["no", "yes"], ids=["eager", "compiled"], indirect=True)
def test_a_training_that_is_killed_goes_on_bit_for_bit(whole, tmp_path):
    run, settings = whole
    survived, seed = 0, 0
    while survived < KILLS / 2:  # half of the kills for eager steps, half for compiled ones
        folder = tmp_path / str(seed)
        folder.mkdir()
        survived += killed(folder, settings, seed)
        assert_same(folder / "run", run)
        shutil.rmtree(folder)
        seed += 1
    print(f"{survived} kills survived")


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_again(whole, tmp_path):
    run, _ = whole
    (tmp_path / "run").mkdir()
    shutil.copy(run / "config.toml", tmp_path / "run")
    (tmp_path / f"run/{PART}{HOST}-{2**22 + 1}-00").write_bytes(b"torn")  # no process has such a number
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


@pytest.mark.parametrize("left", [1, 5])
def test_a_last_line_that_is_cut_off_is_repaired(left, tmp_path, whole):
    run, _ = whole
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/summary.json").unlink()  # a run that goes on has none
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 13, "seconds"'[:left])
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


# --- interrupted ---

SLOW = """
import time
from pyrovae.inference import SVI
step, steps = SVI.step, []
def slow(self, *args):
    loss = step(self, *args)
    steps.append(loss)
    if len(steps) == 100:
        print("ready", flush=True)
        time.sleep(1)
        print("step done", flush=True)
    return loss
SVI.step = slow
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_step_and_saves_in_the_middle_of_an_epoch(number, whole, tmp_path):
    run, settings = whole
    with Training(f"--out run {settings}", tmp_path, SLOW) as process:
        assert any("ready" in line for line in process.stdout)
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "step done" in out
    assert error.splitlines()[-1] == "pyrovae: interrupted; go on with: pyrovae train --resume --out run"
    state = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
    assert state["progress"]["epoch"] == 1
    assert state["under_way"]["step"] == 100 - 84  # an epoch has 84 steps
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


def test_a_second_signal_stops_the_training_at_once(whole, tmp_path):
    run, settings = whole
    with Training(f"--out run {settings}", tmp_path, SLOW.replace("sleep(1)", "sleep(30)")) as process:
        assert any("ready" in line for line in process.stdout)
        begun = time.monotonic()
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        _, error = process.communicate(timeout=60)
        assert time.monotonic() - begun < 20
    assert process.returncode == 130
    assert "go on with: pyrovae train --resume --out run" in error
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


@pytest.mark.parametrize("handler", [signal.default_int_handler, Interrupts(lambda: None)])
def test_signals_are_held_back_until_the_end_of_the_block(handler):
    before, after = signal.signal(signal.SIGINT, handler), []  # other tests may have set another one

    def interrupted(times):
        with held_back() as interrupted_meanwhile:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            after.append(interrupted_meanwhile())

    with pytest.raises(KeyboardInterrupt):
        interrupted(1)
    assert after == [True]
    with pytest.raises(Insisted):
        interrupted(2)
    assert after == [True]
    assert signal.getsignal(signal.SIGINT) is handler
    signal.signal(signal.SIGINT, before)


# --- a full disk ---


@pytest.mark.parametrize("limit", [300, 3000, 30_000])  # bytes: the metrics, the checkpoint or the weights are too long
def test_a_full_disk_is_reported_and_the_training_resumes_from_what_was_saved(limit, whole, tmp_path):
    run, settings = whole
    # Beyond the limit a write fails, as on a full disk.
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    patch = f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limited}"
    _, error = finish(f"--out run {settings}", tmp_path, 1, patch=patch)
    last = error.strip().splitlines()[-1]
    assert "File too large" in last
    assert last.startswith("pyrovae: expected room to write")
    if limit < 500:
        assert not (tmp_path / "run").exists()
        return
    assert "go on with: pyrovae train --resume --out run" in last
    assert not list((tmp_path / "run").glob(f"{PART}*"))
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


# --- two at once ---

WAIT = """
from pyrovae.runs.run import Run
import time
Run.record = lambda *_: (print("ready", flush=True), time.sleep(600))
"""


def test_a_second_process_is_refused_until_the_first_one_ends_or_is_killed(whole, tmp_path):
    run, settings = whole
    with Training(f"--out run {settings}", tmp_path, WAIT) as first:
        assert any("ready" in line for line in first.stdout)
        for arguments in (f"--out run --force {settings}", "--resume --out run"):
            before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
            _, error = finish(arguments, tmp_path, 2)
            assert error == "pyrovae: run: expected run to itself, got one that another process is at work on\n"
            assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
        first.kill()
        first.communicate()
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


# --- in the middle of an epoch, from Python ---


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"network": "conv"},
        {"condition": "label", "prior": "conditional"},
        {"prior": "vamp", "components": 5},
        {"prior": "exemplar", "components": 5},
        {"prior": "flow", "posterior": "flow"},
        {"warmup": 2, "cycle": 2, "schedule": "cosine"},
        {"objective": "dreg", "particles": 3},
        {"compile": "yes"},
        {"on_nan": "skip", "grad_clip": 0.5},
    ],
    ids=str,
)
def test_a_fit_goes_on_from_any_step(settings, tmp_path):
    settings = {"epochs": 3, "seed": 3} | settings
    whole = small_fit(**settings)
    wanted = without_seconds(whole)
    got, resumed, pauses = [], small_fit(**settings), 0
    while not resumed.done:
        record = next(resumed.paused(0.0))  # a pause after each step
        pauses += record is None
        got += [] if record is None else without_seconds([record])
        torch.save(resumed.state_dict(), tmp_path / "state")
        resumed = small_fit(**settings)
        resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert pauses == 3 * 2  # an epoch has three steps, and the third ends it without a pause
    assert got == wanted
    assert equal(resumed.state_dict(), whole.state_dict())


NOISY = """
import random
import numpy as np
import pyro.distributions as dist
from torch import nn

class Noisy(nn.Module):
    features, domain = 1, ("grey",)
    def forward(self, h):
        noise = 1 + 0.1 * random.random() + 0.1 * np.random.rand() + 0.1 * np.random.randn()
        return dist.Normal(h.squeeze(-4), noise).to_event(3)
"""


def test_random_numbers_of_numpy_and_python_are_resumed_too(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    settings = {"epochs": 2, "likelihood": f"{tmp_path / 'noisy.py'}:Noisy"}
    wanted, paused = without_seconds(small_fit(**settings)), small_fit(**settings)
    steps = paused.paused(0.0)
    got = [record for record in (random.seed() or next(steps) for _ in range(6)) if record]
    assert without_seconds(got) == wanted
    other = small_fit(**settings)
    random.seed(5)
    assert without_seconds(other) == wanted


def test_the_state_of_a_fit_is_whole_after_ctrl_c_in_the_evaluation(monkeypatch):
    whole, stopped = small_fit(), small_fit()
    wanted = without_seconds(whole)
    with monkeypatch.context() as patch:
        patch.setattr(Fit, "score_epoch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            next(iter(stopped))
    resumed = small_fit()
    resumed.load_state_dict(stopped.state_dict())
    assert without_seconds(resumed) == wanted


def test_a_summary_names_the_settings_that_changed_on_resuming(tmp_path):
    finish(f"--out run {SETTINGS}", tmp_path)
    finish("--resume --out run --epochs 13 --lr 0.0001", tmp_path)
    run = Run(tmp_path / "run")
    assert run.summary["changed"] == [{"epoch": 12, "lr": [0.001, 0.0001]}]
    assert run.config == Config.from_toml((tmp_path / "run/config.toml").read_text(encoding="utf-8"))
    assert run.config.lr == 0.0001


def test_an_older_checkpoint_without_an_unfinished_epoch_can_be_loaded():
    fitting = small_fit()
    state = fitting.state_dict()
    del state["under_way"]
    fitting.load_state_dict(state)
    with pytest.raises(InputError, match="checkpoint: expected the state of this run, got"):
        fitting.load_state_dict(state | {"under_way": {"step": 3}})


def test_the_command_line_saves_within_long_epochs(here, monkeypatch):
    saved = []
    monkeypatch.setattr(Run, "save", lambda run, fitting: saved.append((fitting.epoch, fitting.step)))
    assert pyrovae("train --out run --epochs 1 --batch-size 300 --save-minutes 1e-9 --no-figures --device cpu") == 0
    assert saved == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]
    assert len(json.loads((here / "run/metrics.jsonl").read_text(encoding="utf-8"))) > 0

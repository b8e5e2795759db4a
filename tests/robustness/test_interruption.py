"""Nothing is lost: a training ended at any moment, by any means, goes on as if it had never been."""

import json
import os
import random
import shlex
import shutil
import signal
import time

import pytest
import torch
from support.builders import contents, small_data, small_vae
from support.forked import Training

from pyrovae import Config, InputError, Run, fit
from pyrovae.cli import main
from pyrovae.training.fit import Fit
from pyrovae.training.interrupts import Insisted, held_back

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills and signals of POSIX systems")

KILLS = int(os.environ.get("PYROVAE_KILLS", "10"))  # results/reliability.md: 200
SETTINGS = "--hidden 16 --epochs 12 --batch-size 16 --validation 100 --device cpu"


def finish(arguments, cwd, code=0, patch=""):
    process = Training(arguments, cwd, patch)
    out, error = process.communicate(timeout=300)
    assert process.returncode == code, error
    return out, error


def equal(state, other):
    """Whether two checkpoints hold the same, to the last bit."""
    if isinstance(state, dict):
        return state.keys() == other.keys() and all(equal(state[key], other[key]) for key in state)
    if isinstance(state, torch.Tensor):
        return torch.equal(state, other)
    if isinstance(state, (list, tuple)):
        return len(state) == len(other) and all(map(equal, state, other))
    return state == other


def assert_same(run, whole):
    assert contents(run) == contents(whole)
    assert equal(*(torch.load(path / "checkpoint.pt", weights_only=True) for path in (run, whole)))
    assert not [path.name for path in run.iterdir() if path.name.startswith(".")]


@pytest.fixture(scope="module", params=["no"], ids=["eager"])
def whole(request, tmp_path_factory):
    """A training that nothing ended, and its settings."""
    root, settings = tmp_path_factory.mktemp("whole"), f"{SETTINGS} --compile {request.param}"
    finish(f"--out run {settings}", root)
    return root / "run", settings


# --- killed ---

# Between any two of these calls the process may be killed, and in the middle of a write: half of its bytes are there.
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
    """Kill a training again and again, by the clock or while it saves, until it ends by itself; how often that was."""
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
    while survived < KILLS / 2:  # for each of the two ways of taking steps
        folder = tmp_path / str(seed)
        folder.mkdir()
        survived += killed(folder, settings, seed)
        assert_same(folder / "run", run)
        shutil.rmtree(folder)
        seed += 1
    print(f"{survived} kills survived")


def test_a_run_ended_before_its_first_checkpoint_begins_anew(whole, tmp_path):
    run, _ = whole
    (tmp_path / "run").mkdir()
    shutil.copy(run / "config.toml", tmp_path / "run")
    (tmp_path / "run/.checkpoint.pt.part").write_bytes(b"torn")
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


@pytest.mark.parametrize("left", [1, 5])
def test_a_torn_last_line_is_repaired(left, tmp_path, whole):
    run, _ = whole
    shutil.copytree(run, tmp_path / "run")
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


def test_a_second_signal_does_not_wait(whole, tmp_path):
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


def test_signals_are_held_back_and_come_through_at_the_end():
    before, after = signal.signal(signal.SIGINT, signal.default_int_handler), []  # whatever others made it

    def interrupted(times):
        with held_back() as came:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            after.append(came())

    with pytest.raises(KeyboardInterrupt):
        interrupted(1)
    assert after == [True]
    with pytest.raises(Insisted):
        interrupted(2)
    assert after == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


# --- a full disk ---


@pytest.mark.parametrize("limit", [300, 3000, 30_000])  # bytes: in the metrics, in the checkpoint or the weights
def test_a_full_disk_is_told_and_what_was_saved_goes_on(limit, whole, tmp_path):
    run, settings = whole
    # A write that is too long fails, as on a full disk.
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    patch = f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limited}"
    _, error = finish(f"--out run {settings}", tmp_path, 2 if limit < 500 else 1, patch=patch)
    last = error.strip().splitlines()[-1]
    assert "File too large" in last
    assert last.startswith(
        "pyrovae: out: expected a folder that can be written" if limit < 500 else "pyrovae: expected"
    )
    if limit < 500:
        assert not (tmp_path / "run").exists()
        return
    assert "go on with: pyrovae train --resume --out run" in last
    assert not list((tmp_path / "run").glob(".*"))
    finish("--resume --out run", tmp_path)
    assert_same(tmp_path / "run", run)


# --- two at once ---

WAIT = """
from pyrovae.runs.run import Run
import time
Run.record = lambda *_: (print("ready", flush=True), time.sleep(600))
"""


def test_a_second_process_is_refused_until_the_first_one_ends_however_it_ends(whole, tmp_path):
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


def records_of(fitting):
    return [{key: value for key, value in record.items() if key != "seconds"} for record in fitting]


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

    def new():
        vae, config = small_vae(**settings)
        return fit(vae, small_data(pixels=config.pixels), config)

    whole = new()
    wanted = records_of(whole)
    got, resumed, pauses = [], new(), 0
    while not resumed.done:
        record = next(resumed.paused(0.0))  # a pause after each step
        pauses += record is None
        got += [] if record is None else records_of([record])
        torch.save(resumed.state_dict(), tmp_path / "state")
        resumed = new()
        resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert pauses == 3 * 2  # of three steps an epoch; the third ends it
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


def test_random_numbers_of_numpy_and_python_go_on_too(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)
    settings = {"epochs": 2, "likelihood": f"{tmp_path / 'noisy.py'}:Noisy"}

    def new():
        vae, config = small_vae(**settings)
        return fit(vae, small_data(pixels=config.pixels), config)

    wanted, paused = records_of(new()), new()
    steps = paused.paused(0.0)
    got = [record for record in (random.seed() or next(steps) for _ in range(6)) if record]
    assert records_of(got) == wanted
    other = new()
    random.seed(5)
    assert records_of(other) == wanted


def test_the_state_of_a_fit_is_whole_after_ctrl_c_in_the_evaluation(monkeypatch):
    def new():
        vae, config = small_vae(epochs=2)
        return fit(vae, small_data(pixels=config.pixels), config)

    whole, stopped = new(), new()
    wanted = records_of(whole)
    with monkeypatch.context() as patch:
        patch.setattr(Fit, "score_epoch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            next(iter(stopped))
    resumed = new()
    resumed.load_state_dict(stopped.state_dict())
    assert records_of(resumed) == wanted


def test_what_was_resumed_with_other_settings_says_so(tmp_path):
    finish(f"--out run {SETTINGS}", tmp_path)
    finish("--resume --out run --epochs 13 --lr 0.0001", tmp_path)
    run = Run(tmp_path / "run")
    assert run.summary["changed"] == [{"epoch": 12, "lr": [0.001, 0.0001]}]
    assert run.config == Config.from_toml((tmp_path / "run/config.toml").read_text())
    assert run.config.lr == 0.0001


def test_a_checkpoint_of_before_has_no_epoch_under_way():
    vae, config = small_vae()
    fitting = fit(vae, small_data(pixels=config.pixels), config)
    state = fitting.state_dict()
    del state["under_way"]
    fitting.load_state_dict(state)
    with pytest.raises(InputError, match="checkpoint: expected the state of this run, got"):
        fitting.load_state_dict(state | {"under_way": {"step": 3}})


def test_the_command_line_saves_long_epochs_in_between(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = []
    monkeypatch.setattr(Run, "save", lambda run, fitting: saved.append((fitting.epoch, fitting.step)))
    with pytest.raises(SystemExit):
        main(shlex.split("train --out run --epochs 1 --batch-size 300 --save-minutes 1e-9 --no-figures --device cpu"))
    assert saved == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]
    assert len(json.loads((tmp_path / "run/metrics.jsonl").read_text())) > 0

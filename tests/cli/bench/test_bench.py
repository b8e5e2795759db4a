"""Every row of the benchmark trains the same model, and the command tells what it measured."""

import json
import math
import subprocess
import sys

import pyro
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pyrovae import Config, load
from pyrovae.cli import main
from pyrovae.cli.bench import beside
from pyrovae.cli.bench.measure import Row, build, repeat, result
from pyrovae.cli.bench.rows import ROWS, Work
from pyrovae.cli.bench.rows.floor import floor, flops, products


@pytest.fixture(autouse=True)
def _empty_store():
    """Pyro's own way fills its global store: that is what is measured."""
    yield
    pyro.clear_param_store()


def work(**settings):
    return Work(load(Config()).train.images[:512], hidden=32, latent_dim=4, batch_size=64, **settings)


@pytest.mark.parametrize("name", [name for name in ROWS if name != "floor"])
def test_every_row_trains_to_the_same_loss(name):
    if name == "numpyro":
        pytest.importorskip("numpyro", reason="the extra `bench` is not installed")
    torch.manual_seed(0)
    epoch = ROWS[name](work())
    losses = [epoch() for _ in range(12)]
    assert losses[0] > 43  # nats per image
    assert losses[-1] == pytest.approx(32.5, abs=1.5)


def test_particles_are_drawn_by_every_row():
    for name in ("pyro-resident", "torch", "pyrovae"):
        epoch = ROWS[name](work(particles=3))
        first, *_, last = [epoch() for _ in range(8)]
        assert last < first - 5


@pytest.mark.parametrize("particles", [1, 3])
def test_the_floor_is_all_the_products_of_a_step(particles):
    """As many floating-point operations as torch counts in a step of the loop by hand."""
    from pyrovae.cli.bench.rows.torchs import TorchVAE

    chosen = work(particles=particles)
    vae = TorchVAE(chosen)
    with FlopCounterMode(display=False) as counter:
        vae(chosen.images.view(len(chosen.images), -1), torch.arange(chosen.batch_size)).backward()
    assert flops(chosen) == 8 * counter.get_total_flops()
    for a, b in products(chosen):
        assert torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "").shape == (len(a), b.shape[1])
    assert floor(chosen)() is None


def test_ratios_are_of_the_same_repetition():
    rows = [
        Row("pyrovae-compiled", seconds=[1.0, 2.0, 3.0]),
        Row("torch", seconds=[2.0, 4.0, 3.0]),
        Row("pyrovae-bf16", seconds=[0.5, 1.5, 1.5]),
        Row("x", skipped="y"),
    ]
    base, torchs, rough, skipped = result(rows, work())
    assert (base["median"], torchs["median"]) == (2.0, 3.0)
    assert torchs["base_over_row"] == 0.5
    assert torchs["target"] == 0.75
    assert (rough["base_over_row"], rough["at_least"]) == (2.0, 1.43)
    assert skipped == {"row": "x", "skipped": "y"}


def test_rows_run_in_turn_each_first_once():
    order = []
    rows = [Row(name, epoch=lambda name=name: order.append(name)) for name in "ab"]
    list(repeat(rows, work(), 2))
    assert order == ["a", "b", "b", "a"]


def test_what_is_not_installed_is_skipped(monkeypatch):
    monkeypatch.setitem(ROWS, "numpyro", lambda work: __import__("not_there"))
    (row,) = build(["numpyro"], work())
    assert row.epoch is None
    assert row.skipped.startswith("not_there is not installed: pip install")


def test_the_command_writes_what_it_measured(tmp_path, capsys):
    flags = "--dataset digits --hidden 16 --latent-dim 2 --rows torch,pyrovae-compiled,floor --repetitions 2 --profile"
    with pytest.raises(SystemExit) as stop:
        main(["bench", *flags.split(), "--device", "cpu", "--out", str(tmp_path)])
    assert not stop.value.code
    (path,) = tmp_path.glob("benchmark-*.json")
    found = json.loads(path.read_text())
    assert [row["row"] for row in found["rows"]] == ["torch", "pyrovae-compiled", "floor"]
    assert all(len(row["seconds"]) == 2 and row["median"] > 0 for row in found["rows"])
    assert all(math.isfinite(row["loss"]) for row in found["rows"][:2])
    assert 0.2 < found["peak_memory_of_training"]["gigabytes"] < 8
    assert found["importance_sampling"]["share"] > 0
    assert found["profile"][0]["microseconds"] > found["profile"][-1]["microseconds"] > 0
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert path.with_suffix(".png").stat().st_size > 10_000
    assert "pyrovae-compiled" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--beside 1 --threads 2", "beside: expected several threads to choose from, got one number; leave out"),
        ("--beside -1", "beside: expected a whole number from 0 to 1000, got '-1'"),
        ("--rows tor", "did you mean 'torch'?"),
        ("--rows ,", "rows: expected some of pyro, "),
        ("--dataset digits --batch-size 5000 --rows torch", "batch-size: expected at most the 1,438 images, got 5000"),
        ("--repetitions 0", "repetitions: expected a whole number from 1 to 1000000000, got '0'"),
    ],
)
def test_bad_input_is_told_in_one_line(flags, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", *flags.split()])
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_trainings_are_timed_beside_busy_processes(two_threads, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(beside, "TURN", 0.0)
    monkeypatch.setattr(beside, "WORK", {"small": ((1, 8, 8), 100, {"hidden": (8,)})})
    monkeypatch.setattr(beside, "COMPILED", {"eager": "no"})
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--beside", "1", "--repetitions", "2", "--out", str(tmp_path)])
    assert not stop.value.code
    (path,) = tmp_path.iterdir()
    result = json.loads(path.read_text(encoding="utf-8"))
    assert path.name.startswith("beside-")
    assert [(row["training"], row["neighbours"]) for row in result["rows"]] == [
        ("small, eager", 0),
        ("small, eager", 1),
    ]
    for row in result["rows"]:
        assert row["ratio"] == row["adapting"] / min(row["one"], row["all"]) > 0
    assert "≤ 1.15" in capsys.readouterr().out
    assert torch.get_num_threads() == 2


def test_busy_processes_end_with_the_block_and_with_their_parent():
    with beside.busy(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.returncode for process in processes)
    assert subprocess.run([sys.executable, "-c", beside.BUSY, "0"], timeout=60).returncode == 0  # 0 is nobody's parent

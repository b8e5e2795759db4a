"""A training by several processes, against the same training by one."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import Config, InputError, Run, fit, load
from pyrovae.cli import main
from pyrovae.commands.digests import fingerprint
from pyrovae.inference import meeting
from pyrovae.inference import processes as parallel
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.training import objective


@pytest.fixture
def processes(monkeypatch):
    """Return a function that makes `rank` and `size` answer as if this process were one of several."""

    def pretend(rank, size):
        monkeypatch.setattr(parallel, "rank", lambda: rank)
        monkeypatch.setattr(parallel, "size", lambda: size)

    return pretend


@pytest.mark.parametrize(("n", "size"), [(128, 2), (7, 3), (3, 3)])
def test_shares_make_up_the_batch_and_differ_by_a_row_at_most(processes, n, size):
    shares = []
    for rank in range(size):
        processes(rank, size)
        shares.append([*range(n)[parallel.Share().rows(n)]])
    assert [row for rows in shares for row in rows] == [*range(n)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("particles", [1, 5])
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_a_share_draws_what_one_process_draws_for_its_rows(processes, posterior, particles):
    vae, _ = small_vae(posterior=posterior, latent_dim=5)
    x = torch.rand(5, 1, 8, 8)

    def codes(x):
        q = vae.posterior(vae.encoder(x))
        return q.expand((particles, len(x)) if particles > 1 else (len(x),)).rsample()

    torch.manual_seed(1)
    whole = codes(x)
    for rank in range(2):
        processes(rank, 2)
        share = parallel.Share(particles)
        torch.manual_seed(1)
        rows = share.rows(5)
        torch.testing.assert_close(share.drawn(codes)(x[rows]), whole[..., rows, :])


def test_other_random_operations_draw_for_the_rows_of_the_share(processes):
    processes(1, 2)
    share = parallel.Share()
    share.rows(6)
    for draw in (torch.poisson, torch._standard_gamma, lambda x: torch.rand(len(x), 4), torch.randperm):
        drawn = share.drawn(draw)(7 if draw is torch.randperm else torch.full((3, 4), 50.0))
        assert len(drawn) == (7 if draw is torch.randperm else 3)
        assert len(drawn.unique()) > 3


def test_a_batch_with_fewer_images_than_processes_is_refused(processes, monkeypatch):
    monkeypatch.setattr(objective, "size", lambda: 9)
    vae, config = small_vae(batch_size=16)  # 40 images: the last batch holds 8
    with pytest.raises(InputError, match="batch_size: expected an image for each of 9 processes in every batch, got 8"):
        fit(vae, small_data(pixels=config.pixels), config)


SETTINGS = [
    ["--pixels", "dynamic", "--condition", "label", "--warmup", "2", "--compile", "yes"],
    ["--objective", "dreg", "--particles", "3", "--prior", "vamp", "--posterior", "full"],
]


def command(processes: int, *arguments: str) -> list[str]:
    start = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}"] if processes > 1 else []
    return [sys.executable, *start, "-m", "pyrovae", "train", *arguments]


@pytest.mark.parametrize("settings", SETTINGS)
def test_two_processes_train_like_one(tmp_path, settings):
    settings = ["--hidden", "32", "--latent-dim", "4", "--epochs", "2", "--batch-size", "101", *settings]
    for processes in (1, 2):
        arguments = command(processes, *settings, "--device", "cpu", "--out", str(tmp_path / str(processes)))
        finished = subprocess.run(arguments, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.count("epoch 2/2") == 1
    # The weights are not compared: Adam moves a weight whose gradient is a rounding error as far as any other.
    for one, two in zip(*(Run(tmp_path / name).metrics for name in ("1", "2"))):
        for part in ("train", "test"):
            assert two[part] == pytest.approx(one[part], rel=1e-5, abs=1e-5)
        assert two["active_units"] == one["active_units"]


def test_if_a_process_dies_the_job_ends_with_one_line_and_its_checkpoint_resumes(tmp_path):
    out = tmp_path / "run"
    settings = ["--epochs", "100000", "--compile", "no", "--device", "cpu", "--out", str(out)]
    job = subprocess.Popen(command(2, *settings), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process_of(job.pid, rank=1), signal.SIGKILL)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 1
    messages = [line for line in errors.splitlines() if line.startswith("pyrovae: ")]
    assert len(messages) == 1
    assert messages[0].endswith(f"; go on with: torchrun --nproc-per-node=2 -m pyrovae train --resume --out {out}")
    epoch = torch.load(out / "checkpoint.pt", weights_only=True)["progress"]["epoch"]
    assert epoch > 0
    arguments = ["--resume", "--out", str(out), "--epochs", str(epoch + 1)]
    subprocess.run(command(2, *arguments), check=True, capture_output=True)
    assert [record["epoch"] for record in Run(out).metrics] == [*range(1, epoch + 2)]


def process_of(parent: int, rank: int) -> int:
    """Return the id of the child process of this rank."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split()
    return next(
        int(pid) for pid in children if f"\0RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text(encoding="utf-8")
    )


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as server:
        return int(server.getsockname()[1])


def ended(folder: Path, *settings: list[str], port: int | None = None, **changes: str) -> list[tuple[int, list[str]]]:
    """Start a training by hand, a process for each of `settings`; return the exit code and the lines of each."""
    address = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port or free_port()), "OMP_NUM_THREADS": "1"}
    common = ["--hidden", "8", "--epochs", "1", "--no-figures", "--device", "cpu", "--out", str(folder / "run")]
    jobs = [
        subprocess.Popen(
            command(1, *common, *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": str(len(settings))} | address | changes,
        )
        for rank, arguments in enumerate(settings)
    ]
    try:
        lines = [job.communicate(timeout=120)[1].splitlines() for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    return [(job.returncode, text) for job, text in zip(jobs, lines)]


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ([], ["--lr", "0.01"], "lr: expected the same on all ranks, got 0.001 on 0 and 0.01 on 1"),
        ([], ["--epochs", "0"], "rank 1: epochs: expected greater than or equal to 1, got '0'"),
        ([], ["--nonsense"], "rank 1: "),
        ([], ["--seed", "1"], "seed: expected the same on all ranks, got 0 on 0 and 1 on 1"),
        (["--dataset", "folder:nowhere"], ["--dataset", "folder:nowhere"], "nowhere"),
        (["--epochs", "0"], [], "epochs: expected greater than or equal to 1, got '0'"),
    ],
)
def test_what_differs_or_is_bad_on_one_rank_ends_all_with_one_line_of_the_first(tmp_path, first, second, line):
    (code, text), (other_code, other_text) = ended(tmp_path, first, second)
    assert (code, other_code, len(text), other_text) == (2, 2, 1, [])
    assert line in text[0]
    assert not (tmp_path / "run").exists()


def test_other_data_of_the_same_shape_have_another_digest(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 50, 8, 8), dtype=np.uint8)
    texts = []
    for number, part in enumerate(images):
        np.savez(tmp_path / f"{number}.npz", images=part)
        data = load(Config(dataset=f"npz:{tmp_path / f'{number}.npz'}"))
        texts.append(fingerprint(data))
    assert {what for what in texts[0] if texts[0][what] != texts[1][what]} == {"data (train)", "data (test)"}
    assert texts[0] == fingerprint(load(Config(dataset=f"npz:{tmp_path / '0.npz'}")))


def test_a_taken_port_is_named_in_one_line():
    with socket.create_server(("localhost", 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(InputError, match=f"MASTER_PORT: expected a free port, got {port}, which another program"):
            meeting._held(port)
        with pytest.raises(InputError, match=f"MASTER_PORT: expected the first process at localhost:{port}, got anoth"):
            meeting._within(0.5, meeting._joined, "localhost", port)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE: expected a whole number of 1 or more, as torchrun sets it, got 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE: .* got '0'"),
        ({"WORLD_SIZE": "2"}, "RANK: expected a whole number from 0 to 1, as torchrun sets it, got nothing"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK: .* got '2'"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR: .* got nothing"),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost"}, "MASTER_PORT: .* got nothing"),
        (
            {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "99999"},
            "MASTER_PORT: .*'99999'",
        ),
    ],
)
def test_an_environment_that_names_no_meeting_place_is_one_line(environment, line, monkeypatch, capsys, tmp_path):
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        main(["train", "--out", str(tmp_path / "run")])
    errors = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert len(errors) == 1
    assert re.search(line, errors[0])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("address", "reason"), [("nowhere.invalid", "a machine that is known"), ("localhost", "got: ")]
)
def test_a_first_process_that_cannot_be_found_is_one_line(monkeypatch, address, reason):
    monkeypatch.setattr(meeting, "REFUSED", 0.2)
    monkeypatch.setenv("MASTER_ADDR", address)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    with pytest.raises(InputError, match=f"MASTER_ADDR: expected .*{reason}"):
        meeting._store(1)


GROUP_ENDS = """
import os
import torch
from torch import distributed
from pyrovae.inference.processes import joined, summed

with joined(torch.device("cpu")):
    summed(torch.ones(3))
    import torch.distributed.nn.functional  # as torch's compiler does, when Adam is first made
names = [open(f"/proc/self/task/{thread}/comm").read().strip() for thread in os.listdir("/proc/self/task")]
assert not [name for name in names if "gloo" in name], names
print("ended")
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads the names of threads from /proc")
def test_no_thread_of_the_group_outlives_it(tmp_path):
    """One that frees a tensor while Python ends would abort the process, and with it a training that is done."""
    (tmp_path / "ends.py").write_text(GROUP_ENDS, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", str(tmp_path / "ends.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout.count("ended")) == (0, 2), ended.stderr

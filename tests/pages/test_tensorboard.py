"""`--tensorboard` writes what TensorBoard itself reads back, and does not change the training."""

import sys

import pytest
import torch
from support.builders import small_data, small_vae
from support.commands import TINY, metrics, pyrovae

from pyrovae import InputError, Run, fit
from pyrovae.pages.tensorboard import logged, scalars


@pytest.fixture(scope="module")
def read():
    """A function that reads the events in a folder with TensorBoard's own reader."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="the extra `tensorboard` is not installed"
    )

    def read(folder):
        events = reader.EventAccumulator(str(folder), size_guidance={"images": 0})
        events.Reload()
        return events

    return read


def series(events, tag):
    return [(event.step, pytest.approx(event.value, rel=1e-6)) for event in events.Scalars(tag)]


def test_the_numbers_of_every_epoch_are_logged(read, here):
    assert pyrovae(f"train --out run --epochs 4 --validation 50 --warmup 2 --tensorboard {TINY} --no-figures") == 0
    events, records = read("run/tensorboard"), Run("run").metrics
    for name in ("train", "validation", "test"):
        for key in ("loss", "reconstruction", "kl"):
            assert series(events, f"{key}/{name}") == [(record["epoch"], record[name][key]) for record in records]
    assert series(events, "objective/train") == [(record["epoch"], record["train"]["objective"]) for record in records]
    assert series(events, "training/lr") == [(epoch, 1e-3) for epoch in (1, 2, 3, 4)]
    assert [value for _, value in series(events, "training/beta")][-1] == 1
    assert len(series(events, "training/images_per_second")) == 4


def test_images_of_some_epochs_are_logged(read, here):
    assert pyrovae(f"train --out run --epochs 4 --tensorboard {TINY} --no-figures") == 0
    events = read("run/tensorboard")
    assert events.Tags()["images"] == ["reconstructions", "samples"]
    images = events.Images("reconstructions")
    assert [image.step for image in images] == [1, 3, 4]
    assert all(image.encoded_image_string.startswith(b"\x89PNG") for image in images)
    assert images[0].width > images[0].height > 100


def test_logging_leaves_the_training_the_same_to_the_last_bit(read, here):
    assert pyrovae(f"train --out plain --epochs 4 --particles 2 {TINY} --no-figures") == 0
    assert pyrovae(f"train --out logged --epochs 4 --particles 2 --tensorboard {TINY} --no-figures") == 0
    for name in ("model.safetensors", "progress.safetensors", "config.toml"):
        assert (here / "plain" / name).read_bytes() == (here / "logged" / name).read_bytes()
    assert metrics("plain") == metrics("logged")


def test_logging_draws_no_random_number(read, tmp_path):
    vae, config = small_vae()
    fitting = fit(vae, small_data(), config)
    before = torch.get_rng_state()
    assert len(list(logged(fitting, fitting, tmp_path))) == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_events_of_epochs_that_are_trained_again_replace_the_earlier_ones(read, tmp_path):
    """After a kill, three epochs may have been logged while the checkpoint is of the second."""
    vae, config = small_vae(epochs=5)
    data, run = small_data(), Run.create(tmp_path / "run", config)
    first, folder = fit(vae, data, config), tmp_path / "run/tensorboard"
    for record in logged(first, first, folder):
        if record["epoch"] == 3:
            break
        run.record(record, first)
    vae, _ = small_vae(epochs=5)
    again = fit(vae, data, config)
    run.resume(again, config)
    for record in logged(again, again, folder):
        run.record(record, again)
    assert series(read(folder), "loss/test") == [(record["epoch"], record["test"]["loss"]) for record in run.metrics]
    assert [image.step for image in read(folder).Images("samples")] == [1, 3, 5]


def test_force_deletes_the_events_of_the_earlier_run(read, here):
    assert pyrovae(f"train --out run --epochs 3 --tensorboard {TINY} --no-figures") == 0
    (here / "run/tensorboard/mine.txt").touch()
    assert pyrovae(f"train --out run --epochs 2 --tensorboard --force {TINY} --no-figures") == 0
    assert [step for step, _ in series(read("run/tensorboard"), "loss/test")] == [1, 2]
    assert (here / "run/tensorboard/mine.txt").exists()


def test_the_command_to_resume_a_logged_run_logs_it_again(read, here, monkeypatch, capsys):
    monkeypatch.setattr(Run, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert pyrovae(f"train --out run --epochs 1 --tensorboard {TINY} --no-figures") == 130
    assert "go on with: pyrovae train --resume --out run --tensorboard" in capsys.readouterr().err


def test_a_skipped_batch_is_counted(read, tmp_path):
    vae, config = small_vae(on_nan="skip", posterior="delta")
    fitting = fit(vae, small_data(), config)
    values = scalars(next(iter(fitting)), fitting)
    assert values["training/skipped"] == 0
    assert "training/beta" not in values  # a plain autoencoder has no KL to weight


def test_without_the_package_it_is_refused_in_one_line(here, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert pyrovae(f"train --out run --tensorboard {TINY} --no-figures") == 2
    message = capsys.readouterr().err
    assert message == "pyrovae: tensorboard: expected the package, got none; pip install 'pyrovae[tensorboard]'\n"
    assert not list(here.iterdir())
    vae, config = small_vae()
    fitting = fit(vae, small_data(), config)
    with pytest.raises(InputError, match="tensorboard: expected the package"):
        next(logged(fitting, fitting, here))

"""`--tensorboard`: what its files hold, read by TensorBoard itself, and that training does not notice."""

import sys

import pytest
import torch
from support.builders import small_data, small_vae
from support.commands import TINY, metrics, pyrovae

from pyrovae import InputError, Run, fit
from pyrovae.pages.tensorboard import logged, scalars


@pytest.fixture(scope="module")
def read():
    """A function: folder -> what TensorBoard finds there."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="the extra `tensorboard` is not installed"
    )

    def read(folder):
        found = reader.EventAccumulator(str(folder), size_guidance={"images": 0})
        found.Reload()
        return found

    return read


def series(found, tag):
    return [(event.step, pytest.approx(event.value, rel=1e-6)) for event in found.Scalars(tag)]


def test_it_holds_the_numbers_of_every_epoch(read, here):
    assert pyrovae(f"train --out run --epochs 4 --validation 50 --warmup 2 --tensorboard {TINY} --no-figures") == 0
    found, records = read("run/tensorboard"), Run("run").metrics
    for name in ("train", "validation", "test"):
        for key in ("loss", "reconstruction", "kl"):
            assert series(found, f"{key}/{name}") == [(record["epoch"], record[name][key]) for record in records]
    assert series(found, "objective/train") == [(record["epoch"], record["train"]["objective"]) for record in records]
    assert series(found, "training/lr") == [(epoch, 1e-3) for epoch in (1, 2, 3, 4)]
    assert [value for _, value in series(found, "training/beta")][-1] == 1
    assert len(series(found, "training/images_per_second")) == 4


def test_it_holds_images_of_some_epochs(read, here):
    assert pyrovae(f"train --out run --epochs 4 --tensorboard {TINY} --no-figures") == 0
    found = read("run/tensorboard")
    assert found.Tags()["images"] == ["reconstructions", "samples"]
    images = found.Images("reconstructions")
    assert [image.step for image in images] == [1, 3, 4]
    assert all(image.encoded_image_string.startswith(b"\x89PNG") for image in images)
    assert images[0].width > images[0].height > 100


def test_training_is_the_same_to_the_last_bit(read, here):
    assert pyrovae(f"train --out plain --epochs 4 --particles 2 {TINY} --no-figures") == 0
    assert pyrovae(f"train --out logged --epochs 4 --particles 2 --tensorboard {TINY} --no-figures") == 0
    for name in ("model.safetensors", "progress.safetensors", "config.toml"):
        assert (here / "plain" / name).read_bytes() == (here / "logged" / name).read_bytes()
    assert metrics("plain") == metrics("logged")


def test_no_random_number_is_taken(read, tmp_path):
    vae, config = small_vae()
    fitting = fit(vae, small_data(), config)
    before = torch.get_rng_state()
    assert len(list(logged(fitting, fitting, tmp_path))) == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_epochs_that_are_trained_again_replace_those_before(read, tmp_path):
    """As after a kill: three epochs were logged, and the checkpoint is of the second."""
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


def test_force_replaces_the_events_of_the_run_before(read, here):
    assert pyrovae(f"train --out run --epochs 3 --tensorboard {TINY} --no-figures") == 0
    (here / "run/tensorboard/mine.txt").touch()
    assert pyrovae(f"train --out run --epochs 2 --tensorboard --force {TINY} --no-figures") == 0
    assert [step for step, _ in series(read("run/tensorboard"), "loss/test")] == [1, 2]
    assert (here / "run/tensorboard/mine.txt").exists()


def test_what_was_logged_goes_on_being_logged(read, here, monkeypatch, capsys):
    monkeypatch.setattr(Run, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert pyrovae(f"train --out run --epochs 1 --tensorboard {TINY} --no-figures") == 130
    assert "go on with: pyrovae train --resume --out run --tensorboard" in capsys.readouterr().err


def test_a_skipped_batch_is_counted(read, tmp_path):
    vae, config = small_vae(on_nan="skip", posterior="delta")
    fitting = fit(vae, small_data(), config)
    told = scalars(next(iter(fitting)), fitting)
    assert told["training/skipped"] == 0
    assert "training/beta" not in told  # a plain autoencoder has none


def test_without_the_package_it_is_refused_in_one_line(here, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert pyrovae(f"train --out run --tensorboard {TINY}") == 2
    told = capsys.readouterr().err
    assert told == "pyrovae: tensorboard: expected the package, got none; pip install 'pyrovae[tensorboard]'\n"
    assert not list(here.iterdir())
    vae, config = small_vae()
    fitting = fit(vae, small_data(), config)
    with pytest.raises(InputError, match="tensorboard: expected the package"):
        next(logged(fitting, fitting, here))

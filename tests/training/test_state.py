"""What a checkpoint holds, and a training that goes on from one."""

import copy

import pytest
import torch
from support.builders import small_data, small_vae, without_seconds

from pyrovae import InputError, fit
from pyrovae.training.state import TrainingState


def test_a_resumed_training_has_the_records_of_one_that_never_stopped():
    for settings in ({}, {"network": "conv"}, {"pixels": "dynamic", "warmup": 2}):
        whole = without_seconds(fitting_of(epochs=4, **settings))
        vae, config = small_vae(epochs=4, **settings)
        first = fit(vae, small_data(pixels=config.pixels), config)
        records = [record for _, record in zip(range(2), first)]
        state = copy.deepcopy(first.state_dict())
        fresh, _ = small_vae(seed=9, **settings)
        second = fit(fresh, small_data(pixels=config.pixels), config)
        second.load_state_dict(state)
        assert without_seconds(records + list(second)) == whole


def fitting_of(**settings):
    vae, config = small_vae(**settings)
    return fit(vae, small_data(pixels=config.pixels), config)


def test_a_checkpoint_keeps_the_names_of_its_entries():
    """Checkpoints of earlier versions are read by these names."""
    fitting = fitting_of(pixels="dynamic")
    epochs = fitting.paused(0.0)
    assert next(epochs) is None  # a step was taken, and the epoch is not complete
    state = fitting.state_dict()
    assert [*state] == ["model", "optimizer", "progress", "under_way"]
    assert [*state["progress"]] == ["epoch", "best_epoch", "best_loss", "changed", "compiled", "threads"]
    assert [*state["under_way"]] == ["step", "seconds", "random", "sums", "skipped"]
    assert state["under_way"]["step"] == 1
    while next(epochs) is None:
        pass
    assert fitting.state_dict()["under_way"] == {}


def test_a_checkpoint_of_an_earlier_version_may_hold_less():
    fitting = fitting_of()
    next(iter(fitting))
    state = fitting.state_dict()
    del state["under_way"], state["progress"]["compiled"]
    resumed = fitting_of()
    resumed.load_state_dict(state)
    assert (resumed.epoch, resumed.best_epoch, resumed.compiled) == (1, 1, False)


def test_a_checkpoint_sets_nothing_but_the_state():
    state = TrainingState()
    state.load({"epoch": 3, "end_epoch": None, "step": 7}, {})
    assert state == TrainingState(epoch=3)
    assert "end_epoch" not in vars(state)


@pytest.mark.parametrize("progress", [None, 3, [1, 2]])
def test_a_damaged_checkpoint_is_refused(progress):
    fitting = fitting_of()
    with pytest.raises(InputError, match="checkpoint: expected the state of this run, got: "):
        fitting.load_state_dict(fitting.state_dict() | {"progress": progress})


def test_random_numbers_continue_where_the_last_step_left_them():
    state = TrainingState()
    torch.manual_seed(1)
    with state.continued_random_numbers():
        torch.rand(3)
    expected = torch.rand(2)
    state.step = 1
    torch.manual_seed(2)
    with state.continued_random_numbers():
        assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("losses", "best"), [([3.0, 2.0, 2.5], 2), ([None, None], 2), ([1.0, 1.0], 1)])
def test_the_best_epoch_is_the_first_of_the_lowest_loss_or_the_last_of_all(losses, best):
    state = TrainingState(step=4, seconds=2.0)
    for loss in losses:
        state.end_epoch(loss)
    assert (state.epoch, state.best_epoch, state.step, state.seconds) == (len(losses), best, 0, 0.0)

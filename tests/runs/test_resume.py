import pytest
from support.runs import trained

from pyrovae import Config, InputError, Run
from pyrovae.runs.resume import changes


def test_fewer_epochs_than_were_run_are_refused(tmp_path):
    run, fitting = trained(tmp_path, epochs=3)
    with pytest.raises(InputError, match="expected at least the 3 epochs"):
        Run(tmp_path).resume(fitting, run.config.replace(epochs=2))
    assert Run(tmp_path).config.epochs == 3


def test_a_scheduled_learning_rate_is_resumed_only_with_the_same_epochs(tmp_path):
    run, fitting = trained(tmp_path, epochs=2, schedule="cosine")
    with pytest.raises(InputError, match="expected the 2 epochs over which schedule 'cosine' runs, got 3"):
        Run(tmp_path).resume(fitting, run.config.replace(epochs=3))
    Run(tmp_path).resume(fitting, run.config)


def test_only_changes_that_affect_the_numbers_are_listed():
    before = Config(lr=0.1, device="cpu")
    assert changes(before, before.replace(epochs=5, device="auto")) == {}
    assert changes(before, before.replace(lr=0.2, on_nan="skip")) == {"lr": [0.1, 0.2], "on_nan": ["stop", "skip"]}

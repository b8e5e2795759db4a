"""A loss that is not finite: where it is, what state it leaves, and how to go on without it."""

import copy
import math
import re
import shlex

import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae
from torch import nn

from pyrovae import Run, fit, fit_batched
from pyrovae.cli import main
from pyrovae.training.watch import not_finite

BAD = 7  # a training image whose pixels are all white


class Fragile(dist.Normal):
    """A normal distribution whose log-density of a white image is not finite."""

    def log_prob(self, value):
        white = (value == 1).flatten(-3).all(-1)[..., None, None, None]
        return super().log_prob(value) + torch.where(white, math.inf, 0.0)

    def expand(self, shape, _instance=None):
        return super().expand(shape, self._get_checked_instance(Fragile, _instance))


class Density(nn.Module):
    features, domain = 1, ("grey",)

    def forward(self, h):
        return Fragile(h.squeeze(-4), 1.0, validate_args=False).to_event(3)


class Steep(nn.Module):
    """A likelihood whose log-density is finite, but whose gradient is not where `zero` is 0."""

    features, domain = 1, ("grey",)

    def __init__(self):
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(()))

    def forward(self, h):
        return dist.Normal(h.squeeze(-4) + self.zero.abs().sqrt(), 1.0, validate_args=False).to_event(3)


def fitting_of(bad=(BAD,), likelihood="Density", **settings):
    name = f"{__file__}:{likelihood}"
    vae, config = small_vae(likelihood=name, seed=3, **settings)
    data = copy.deepcopy(small_data())
    for image in bad:
        data.train.images[image] = 255
    fitting = fit(vae, data, config)
    fitting.svi.validate = False  # else Pyro's validation of the first step would warn
    return fitting


def step_of(image, fitting):
    """Return the step of the first epoch that takes this image, counted from 1."""
    with torch.random.fork_rng():
        torch.manual_seed(fitting.epoch_seed)
        order = torch.randperm(len(fitting.data.train))
    return int((order == image).nonzero()) // fitting.config.batch_size + 1


def weights(fitting):
    return {name: tensor.clone() for name, tensor in fitting.vae.state_dict().items()}


@pytest.mark.parametrize("compiled", ["no", "yes"])
def test_training_stops_at_once_and_names_step_and_site(compiled, monkeypatch):
    fitting, seen = fitting_of(compile=compiled), []
    step = fitting.svi.step
    monkeypatch.setattr(fitting.svi, "step", lambda *fed: (seen.append(weights(fitting)), step(*fed))[1])
    wanted = step_of(BAD, fitting)
    with pytest.raises(FloatingPointError) as caught:
        next(iter(fitting))
    message = r"epoch 1, step (\d): expected a finite loss, got nan; not finite: log p\(x\); what usually helps: .*--lr"
    assert re.match(message, str(caught.value)), caught.value
    assert re.match(message, str(caught.value))[1] == str(wanted)
    assert len(seen) == wanted
    assert all(
        torch.equal(tensor, seen[-1][name]) for name, tensor in weights(fitting).items()
    )  # the last step moved no weight


def test_sites_of_the_guide_are_named_too():
    fitting = fitting_of(bad=())
    nn.init.constant_(fitting.vae.posterior.head.weight, math.nan)
    with pytest.raises(FloatingPointError, match=r"step 1: .* not finite: log q\(z\), log p\(z\), log p\(x\); what"):
        next(iter(fitting))


def test_the_error_of_a_program_that_cannot_be_run_is_returned():
    def fail(*_):
        raise ValueError("no such number")

    assert not_finite(fail, fail) == ["no such number"]


def test_a_gradient_that_is_not_finite_stops_the_training_at_the_next_step():
    fitting = fitting_of(bad=(), likelihood="Steep")
    with pytest.raises(FloatingPointError, match=r"epoch 1, step 2: .* not finite: log p\(x\)"):
        next(iter(fitting))
    fitting = fitting_of(bad=(), likelihood="Steep", on_nan="skip")
    with pytest.raises(FloatingPointError, match="epoch 1: every one of its steps was skipped"):
        next(iter(fitting))


@pytest.mark.parametrize("compiled", ["no", "yes"])
@pytest.mark.parametrize("skipped", [{2}, {1, 3}])
def test_skipped_batches_are_counted_and_move_nothing(skipped, compiled):
    """Weights, optimizer and scores are as if those steps had never been taken."""
    bad = [next(image for image in range(40) if step_of(image, fitting_of()) == step) for step in skipped]
    fitting = fitting_of(bad, on_nan="skip", compile=compiled, epochs=1)
    plain = fitting_of(bad, epochs=1)
    step, number, losses = plain.svi.step, [], []

    def leave_out(*fed):
        number.append(len(number) + 1)
        if len(number) not in skipped:
            losses.append((step(*fed), len(fed[0])))
            return losses[-1][0]
        before = copy.deepcopy(plain.state_dict()), plain.training_step.total.sums.clone()
        step(*fed)
        plain.load_state_dict(before[0])
        plain.training_step.total.sums.copy_(before[1])
        plain.svi.update.failed.zero_()
        return torch.zeros(())

    plain.svi.step = leave_out
    record, wanted = next(iter(fitting)), next(iter(plain))
    assert record["skipped"] == len(skipped)
    assert "skipped" not in wanted
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(fitting)[name], tensor)
    loss, n = sum(float(loss) for loss, _ in losses), sum(n for _, n in losses)
    assert record["train"]["loss"] == pytest.approx(loss / n, rel=1e-5)
    assert record["test"]["loss"] == pytest.approx(wanted["test"]["loss"], rel=1e-5)
    states = (each.svi.optim.state_dict()["state"][0]["step"] for each in (fitting, plain))
    assert [float(count) for count in states] == 2 * [3 - len(skipped)]


def test_a_fit_in_a_batch_stops_alone():
    fits = [fitting_of(bad=() if lr else (BAD,), lr=lr or 1e-3, epochs=2) for lr in (0.01, 0.001)]
    fits[0].vae.decoder.body[0].weight.data.fill_(math.inf)
    records = list(fit_batched(fits))
    assert [isinstance(record, FloatingPointError) for record in records[-1]] == [True, False]
    assert "epoch 1, step 1: expected a finite loss, got nan; not finite: log p(x)" in str(records[0][0])
    assert records[1][1]["epoch"] == 2


def pyrovae(line):
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(line))
    return caught.value.code


def test_the_last_sound_checkpoint_can_be_resumed_with_other_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def saved():
        return torch.load("run/checkpoint.pt", weights_only=True)["model"]

    assert pyrovae("train --out run --epochs 2 --hidden 16 --device cpu --no-figures") == 0
    before = saved()
    capsys.readouterr()
    assert pyrovae("train --resume --out run --epochs 4 --lr 1e30 --no-figures") == 1
    error = capsys.readouterr().err
    assert re.fullmatch(r"pyrovae: epoch 3, step 2: expected a finite loss, got nan; not finite: .*\n", error)
    assert "--lr" in error
    assert "--grad-clip" in error
    assert all(torch.equal(tensor, before[name]) for name, tensor in saved().items())
    assert [record["epoch"] for record in Run("run").metrics] == [1, 2]
    assert pyrovae("train --resume --out run --epochs 4 --lr 1e-3 --grad-clip 1 --on-nan skip --no-figures") == 0
    summary = Run("run").summary
    assert summary["final"]["skipped"] == 0
    assert summary["changed"][-1] == {
        "epoch": 2,
        "lr": [1e30, 1e-3],
        "grad_clip": [0.0, 1.0],
        "on_nan": ["stop", "skip"],
    }


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("compiled", ["no", "yes"])
def test_on_cuda_the_step_is_named_although_losses_are_checked_later(compiled):
    fitting = fitting_of(compile=compiled, device="cuda")
    with torch.random.fork_rng(), torch.random.fork_rng(device_type="cuda"):
        torch.manual_seed(fitting.epoch_seed)
        order = torch.randperm(len(fitting.data.train), device="cuda")
    wanted = int((order == BAD).nonzero()) // fitting.config.batch_size + 1
    with pytest.raises(FloatingPointError, match=rf"epoch 1, step {wanted}: .* not finite: log p\(x\)"):
        next(iter(fitting))

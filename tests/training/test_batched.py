"""Fits that train as one batched program, compared with the same fits alone."""

import pytest
import torch
from support.builders import small_data, small_vae
from torch import nn

from pyrovae import InputError, fit, fit_batched

DIFFERING = [{"seed": 3}, {"seed": 4, "lr": 1e-2}, {"seed": 3, "beta": 0.5, "warmup": 2, "schedule": "cosine"}]


def fits(each=DIFFERING, part=None, **settings):
    made = []
    for own in each:
        vae, config = small_vae(**{"compile": "no", "epochs": 3} | settings | own)
        if part is not None:
            vae.likelihood = part()
        made.append(fit(vae, small_data(pixels=config.pixels), config))
    return made


WITHOUT_KL = [{"seed": 3}, {"seed": 4, "lr": 1e-2}, {"seed": 3, "schedule": "cosine"}]


def scores(record, parts=("train", "test")):
    return {(part, key): value for part in parts for key, value in record[part].items()}


@pytest.mark.parametrize(
    "settings",
    [
        {"pixels": "dynamic", "condition": "label", "compile": "yes"},
        {"pixels": "dynamic", "validation": 8, "prior": "mixture", "components": 3, "objective": "mmd"},
        {"objective": "dreg", "particles": 3, "posterior": "full", "prior": "vamp", "components": 4},
        {"network": "conv", "posterior": "lowrank"},
        {"network": "gated", "precision": "bf16"},
        {"posterior": "flow", "prior": "flow", "objective": "iwae", "particles": 2},
        {"likelihood": "gaussian", "scale": "optimal", "free_bits": 0.1},
        {"prior": "exemplar", "components": 7, "objective": "analytic"},
        {"posterior": "delta"},
    ],
)
def test_each_fit_trains_as_it_does_alone(settings):
    each = WITHOUT_KL if settings.get("posterior") == "delta" else DIFFERING
    alone = [[*made] for made in fits(each, **settings)]
    together = [*zip(*fit_batched(fits(each, **settings)))]
    rounding = 1e-2 if "precision" in settings else 1e-4
    # The gradient of a bias before a batch normalisation is rounding noise, which Adam scales up to full steps.
    # Training scores do not depend on that bias, because each batch is centred; test scores do, and are not compared.
    parts = ["train"] if settings.get("network") == "conv" else ["train", "test"]
    for one, other in zip(alone, together):
        for expected, record in zip(one, other, strict=True):
            assert scores(record, parts) == pytest.approx(scores(expected, parts), rel=rounding, abs=1e-4)
            assert record["epoch"] == expected["epoch"]
    assert alone[0][-1]["train"] != alone[1][-1]["train"]


def test_a_batch_on_changing_threads_trains_as_each_fit_does_on_one(alternating):
    alone = [[*made] for made in fits(threads=1)]
    batch = fits()
    for one, other in zip(alone, zip(*fit_batched(batch))):
        for expected, record in zip(one, other, strict=True):
            assert scores(record) == pytest.approx(scores(expected), rel=1e-4)
    assert [made.state.threads for made in batch] == [[1, 2]] * len(batch)


def test_a_fit_saved_between_batched_epochs_goes_on_alone():
    together = fits()
    halfway = next(fit_batched(together))
    resumed = fits()[1]
    resumed.load_state_dict(together[1].state_dict())
    rest = [*resumed]
    assert [halfway[1]["epoch"], *(record["epoch"] for record in rest)] == [1, 2, 3]
    assert scores(rest[-1]) == pytest.approx(scores([*fits()[1]][-1]), rel=1e-4)


class Undecided(nn.Module):
    """A likelihood that branches on values, which a batched program cannot do."""

    features, domain = 1, ("grey",)

    def forward(self, h):
        (loc,) = h.unbind(-4)
        return torch.distributions.Independent(torch.distributions.Normal(loc if loc.sum() > 0 else -loc, 1.0), 3)


def test_fits_whose_step_cannot_be_batched_train_one_by_one_with_a_warning():
    alone = [[*made] for made in fits(part=Undecided)]
    with pytest.warns(UserWarning, match="batched: each run takes its own steps: .*data-dependent"):
        together = [*zip(*fit_batched(fits(part=Undecided)))]
    for one, other in zip(alone, together):
        assert [scores(record) for record in one] == [scores(record) for record in other]


def test_a_fit_that_fails_does_not_change_the_others():
    made = fits([{"seed": 0}, {"seed": 1, "lr": 1e20}])
    *_, last = fit_batched(made)
    assert isinstance(last[1], FloatingPointError)
    assert scores(last[0]) == pytest.approx(scores([*fits([{"seed": 0}])[0]][-1]), rel=1e-4)


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        ([{"latent_dim": 2}, {"latent_dim": 3}], "batched: expected runs that differ in beta, .* alone, got others"),
        ([{"validation": 8, "patience": 1}] * 2, "batched: expected patience 0, as all runs end at once, got 1"),
    ],
)
def test_fits_that_are_not_alike_are_refused(each, expected):
    with pytest.raises(InputError, match=expected):
        next(fit_batched(fits(each)))

"""The number of threads that a command chooses, on a machine with two cores."""

import pytest
import torch
from support.builders import small_fit

from pyrovae.commands.threads import threads_restored, use_threads
from pyrovae.parts.priors import PRIORS
from pyrovae.programs import PROGRAMS

LAYERS = {"hierarchical": (3, 2), "stacked": (3, 2)}


@pytest.mark.parametrize(
    "settings",
    [
        *({"prior": name} for name in PRIORS if name != "conditional"),
        {"prior": "vamp", "condition": "label"},
        *({"program": name, "latent_dim": LAYERS.get(name, 2)} for name in PROGRAMS if name != "not_at_random"),
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_a_small_step_takes_one_thread_and_stays_learned(settings, two_threads):
    fit = small_fit(components=5, **settings)
    learned = [parameter.requires_grad for parameter in fit.vae.parameters()]
    with threads_restored():
        use_threads(fit)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    assert [parameter.requires_grad for parameter in fit.vae.parameters()] == learned

"""The scores of a set of images."""

import copy

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import elbo_scores
from pyrovae.evaluation import elbo


def test_scoring_changes_neither_weights_nor_statistics_nor_the_mode():
    vae, _ = small_vae(network="conv")
    data = small_data()
    before = copy.deepcopy(vae.state_dict())
    for training in (True, False):
        vae.train(training)
        elbo_scores(vae, data, data.test)
        assert vae.training is training
    assert all(torch.equal(tensor, before[name]) for name, tensor in vae.state_dict().items())


def test_scores_do_not_depend_on_the_size_of_batches(monkeypatch):
    vae, _ = small_vae(posterior="delta")  # nothing is drawn, so the parts must agree exactly
    data = small_data(n=50)
    whole = elbo_scores(vae, data, data.test)
    monkeypatch.setattr(elbo, "BATCH", 7)
    assert elbo_scores(vae, data, data.test)["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    x = data.batch(data.test, slice(0, 50)).x
    cross_entropy = torch.nn.functional.binary_cross_entropy(vae.reconstruct(x), x, reduction="sum") / 50
    assert whole["loss"] == pytest.approx(cross_entropy.item(), rel=1e-5)

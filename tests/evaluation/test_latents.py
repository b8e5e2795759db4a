"""The report on the latent space, against closed forms and known answers."""

import math

import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae
from torch import nn

from pyrovae import VAE, elbo_scores, fit
from pyrovae.evaluation.latents import code_means, kl_per_dimension, report


class Codes(nn.Module):
    """An encoder that reads the code off the first pixels, and a posterior of fixed width around it."""

    def __init__(self, latent_dim, scale):
        super().__init__()
        self.latent_dim, self.scale = latent_dim, scale

    def forward(self, x, y=None):
        return x.flatten(1)[:, : self.latent_dim]


class Around(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, h):
        return dist.Normal(6 * (h - 0.5), self.scale).to_event(1)


def known(latent_dim=2, scale=0.1):
    plain, _ = small_vae(latent_dim=latent_dim)
    return VAE(Codes(latent_dim, scale), plain.decoder, plain.prior, Around(scale), plain.likelihood)


def test_kl_per_dimension_is_the_closed_form():
    vae, data = known(scale=0.3), small_data()
    means = code_means(vae, data, data.test)
    by_hand = 0.5 * (means.square() + 0.3**2 - 1).mean(0) - math.log(0.3)
    torch.testing.assert_close(kl_per_dimension(vae, data, data.test), by_hand)


def test_kl_per_dimension_adds_up_to_the_sampled_kl():
    vae, config = small_vae(latent_dim=3, epochs=3)
    data = small_data(n=2000)
    for _ in fit(vae, data, config):
        pass
    kl = kl_per_dimension(vae, data, data.test).sum().item()
    assert elbo_scores(vae, data, data.test)["kl"] == pytest.approx(kl, abs=0.05)


@pytest.mark.parametrize(
    "settings", [{"prior": "mixture"}, {"posterior": "full"}, {"posterior": "flow"}, {"prior": "flow"}]
)
def test_kl_per_dimension_is_left_out_without_a_closed_form(settings):
    vae, _ = small_vae(**settings)
    data = small_data()
    assert kl_per_dimension(vae, data, data.test) is None
    assert "kl_per_dimension" not in report(vae, data)


@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
def test_the_parts_of_the_kl_are_bounded_on_either_side(posterior):
    vae, config = small_vae(posterior=posterior, epochs=3)
    data = small_data(n=1500)
    for _ in fit(vae, data, config):
        pass
    latents = report(vae, data)
    assert latents["kl"] == pytest.approx(elbo_scores(vae, data, data.test)["kl"], abs=0.1)
    assert 0 <= latents["mutual_information_lower"] <= latents["mutual_information_upper"] < latents["kl"] + 0.1
    assert 0 <= latents["marginal_kl_lower"] <= latents["marginal_kl_upper"] < latents["kl"] + 0.1


def test_a_flow_whose_inverse_overflows_at_other_codes_is_reported():
    vae, _ = small_vae(posterior="flow", latent_dim=8)
    data = small_data()
    with torch.no_grad():
        for weights in vae.posterior.parameters():
            weights.mul_(100)
    latents, highest = report(vae, data), math.log(len(data.test))
    assert highest - 0.5 < latents["mutual_information_lower"] < highest + 1e-3
    assert math.isfinite(latents["mutual_information_upper"])
    assert math.isfinite(latents["marginal_kl_upper"])


def test_dimensions_with_constant_means_are_not_active():
    class Half(Around):
        def forward(self, h):
            return dist.Normal(h * torch.tensor([1.0, 1.0, 0.0, 0.0]), self.scale).to_event(1)

    vae, data = known(latent_dim=4), small_data()
    vae.posterior = Half(0.1)
    assert report(vae, data)["active_units"] == 2
    assert report(vae, data)["latent_dim"] == 4


def test_labels_are_predicted_from_codes_that_determine_them():
    data = small_data(n=300)
    data.test.images[:, 0, 0, 0] = (data.test.labels * 100).byte()
    latents = report(known(latent_dim=1, scale=0.1), data)
    assert latents["knn_accuracy"] == 1
    assert latents["probe_accuracy"] > 0.9
    at_random = report(known(latent_dim=1, scale=0.1), small_data(n=300))
    assert at_random["knn_accuracy"] < 0.6


def test_a_posterior_without_a_known_mean_has_no_active_units():
    vae, _ = small_vae(posterior="flow")
    assert "active_units" not in report(vae, small_data())


def test_sorted_labels_are_split_at_random():
    data = small_data(n=300)
    data.test.labels.copy_(data.test.labels.sort().values)
    data.test.images[:, 0, 0, 0] = (data.test.labels * 100).byte()
    assert report(known(latent_dim=1, scale=0.1), data)["knn_accuracy"] == 1


def test_an_autoencoder_has_no_kl_to_report():
    vae, _ = small_vae(posterior="delta")
    assert set(report(vae, small_data())) == {"images", "latent_dim", "active_units", "knn_accuracy", "probe_accuracy"}


@pytest.mark.parametrize("condition", ["label", "quadrant1"])
def test_reports_on_conditional_models_leave_out_both_parts_of_the_kl(condition):
    vae, _ = small_vae(condition=condition)
    latents = report(vae, small_data())
    assert len(latents["kl_per_dimension"]) == 2
    assert not {"kl", "mutual_information_lower", "marginal_kl_upper"} & latents.keys()

"""Building a VAE from a config: the seed, names and parts that are refused, classes of a user's own."""

import pytest
import torch
from support.builders import small_data, small_vae
from support.losses import negative_elbo

from pyrovae import Config, InputError, build


def test_the_seed_decides_the_weights_and_the_global_state_stays():
    state = torch.random.get_rng_state()
    (one, _), (two, _), (other, _) = small_vae(seed=3), small_vae(seed=3), small_vae(seed=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name])
    assert not torch.equal(one.decoder.body[0].weight, other.decoder.body[0].weight)


@pytest.mark.parametrize("prior", ["flow", "mixture", "conditional"])
def test_parts_draw_their_weights_in_one_order_whatever_the_program_names_first(prior):
    """The posterior comes before the prior, so that its weights do not depend on it."""
    plain, other = (small_vae(condition="label", prior=name)[0] for name in ("normal", prior))
    for part in ("encoder", "decoder", "posterior"):
        for one, two in zip(getattr(plain, part).parameters(), getattr(other, part).parameters()):
            assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"likelihood": "bernouli"}, "did you mean 'bernoulli'"),
        ({"prior": "norml"}, "did you mean 'normal'"),
        (
            {"posterior": "diag"},
            "posterior: expected one of diagonal, lowrank, full, flow, delta or FILE.py:Class, got 'diag'",
        ),
        (
            {"network": "unet"},
            "network: expected one of mlp, gated, linear_decoder, conv, resnet or FILE.py:Class, got 'unet'",
        ),
        ({"activation": "rely"}, "did you mean 'relu'"),
        ({"pixels": "standardized"}, "expects dynamic or static or threshold or binary or grey, got 'standardized'"),
        ({"likelihood": "gaussian", "pixels": "static"}, "which fits likelihood bernoulli"),
        ({"condition": "label"}, "expects images with labels, got none"),
        ({"network": "conv"}, "expected images of 8 to 64 pixels a side, got 4×4"),
        ({"likelihood": "nowhere:Class"}, "expected a class at 'nowhere:Class'"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError) as refusal:
        build(Config(**settings), (1, 4, 4), classes=0)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_learned_prior_is_refused_if_there_is_no_kl_to_train_it():
    with pytest.raises(InputError, match="posterior 'delta' has no KL to train it by, got 'conditional'"):
        small_vae(condition="quadrant1", posterior="delta")
    assert not small_vae(condition="quadrant1", posterior="delta", prior="normal")[0].has_kl


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:", "expected a class at"),
        ("import torch\nclass Mine(torch.nn.Module):\n    pass", "expected a class with features, domain"),
        (
            "import torch, pyro\nclass Mine(torch.nn.Module):\n    features, domain = 1, ('grey',)\n"
            "    def forward(self, h):\n        return pyro.distributions.Laplace(h.squeeze(-4), 1.0).to_event(2)",
            r"expected event shape \(1, 8, 8\), got \(8, 8\)",
        ),
        (
            "import torch\nclass Mine(torch.nn.Module):\n    features, domain = 1, ('grey',)\n"
            "    def forward(self, h):\n        return h",
            "expected a Pyro distribution from forward, got Tensor",
        ),
        (
            "import torch\nclass Mine(torch.nn.Module):\n    features, domain = 1, ('grey',)\n"
            "    def __init__(self, colour):\n        pass",
            "Mine asks for 'colour', expected one of dataset, ",
        ),
    ],
)
def test_a_users_class_that_is_no_likelihood_is_refused(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=message):
        small_vae(likelihood=f"{tmp_path / 'mine.py'}:Mine")


def test_a_users_posterior_is_taken_for_a_density(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import pyro.distributions as dist\n"
        "from torch import nn\n"
        "class Unit(nn.Module):\n"
        "    def __init__(self, features, latent_dim):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(features, latent_dim)\n"
        "    def forward(self, h):\n"
        "        return dist.Normal(self.head(h), 1.0).to_event(1)\n"
    )
    vae, _ = small_vae(posterior=f"{tmp_path / 'mine.py'}:Unit")
    assert vae.has_kl


def test_a_users_class_is_loaded_from_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import pyro.distributions as dist\n"
        "from torch import nn\n"
        "class Laplace(nn.Module):\n"
        "    features, domain = 2, ('grey',)\n"
        "    def __init__(self, shape, latent_dim):\n"
        "        super().__init__()\n"
        "        self.arguments = (shape, latent_dim)\n"
        "    def forward(self, h):\n"
        "        loc, log_scale = h.unbind(-4)\n"
        "        return dist.Laplace(loc, log_scale.exp()).to_event(3)\n"
    )
    vae, _ = small_vae(likelihood=f"{tmp_path / 'mine.py'}:Laplace")
    assert vae.likelihood.arguments == ((1, 8, 8), 2)
    data = small_data()
    assert negative_elbo(vae, data.batch(data.train, slice(0, 5)).x).isfinite()

"""The hierarchical program: its three guides, the parts it takes, and an exact log-likelihood that it meets."""

import pytest
import torch
from support.builders import expect_resumed, small_data, small_vae
from support.likelihoods import LIKELIHOODS
from support.linear import LINEAR
from support.losses import expect_exact
from torch import nn

from pyrovae import InputError, fit
from pyrovae.evaluation.importance import log_weights
from pyrovae.inference import seeded
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.posteriors.gaussian import Diagonal
from pyrovae.parts.priors import PRIORS
from pyrovae.programs.layers import GUIDES, product

LAYERS = {"program": "hierarchical", "latent_dim": (5, 3, 2), "hidden": (16, 12), "upper_hidden": (8, 7)}


@pytest.mark.parametrize("inference", GUIDES)
@pytest.mark.parametrize("skip", ["no", "yes"])
def test_codes_are_drawn_in_the_order_of_the_guide_and_the_top_one_is_the_code(inference, skip):
    program, _ = small_vae(**LAYERS, inference=inference, skip=skip)
    x = torch.rand(4, 1, 8, 8)
    sites = program.sites(x)
    assert [(name, site.event_shape) for name, site in sites.items()] == [
        ("z3", (2,)),
        ("z2", (3,)),
        ("z1", (5,)),
        ("x", (1, 8, 8)),
    ]
    after = {"bottom_up": {"z1": (), "z2": ("z1",), "z3": ("z1", "z2")}}
    downwards = {"z3": (), "z2": ("z3",), "z1": ("z3", "z2")}
    assert {name: sites[name].inferred_after for name in ("z1", "z2", "z3")} == after.get(inference, downwards)
    assert program.code == "z3"
    assert program.encode(x).event_shape == (2,)
    for images in (program.reconstruct(x), program.generate(4), program.decode(torch.randn(4, 2))):
        assert images.shape == (4, 1, 8, 8)


def test_with_skip_the_decoder_reads_every_code():
    plain, _ = small_vae(**LAYERS)
    skipping, _ = small_vae(**LAYERS, skip="yes")
    assert (plain.decoder.body[0].in_features, skipping.decoder.body[0].in_features) == (5, 10)


def test_hidden_layers_between_codes_are_those_of_the_network():
    gated, _ = small_vae(**LAYERS, network="gated")
    conv, _ = small_vae(**LAYERS, network="conv", activation="elu")
    assert [type(layer) for layer in gated.lower_priors[0][0]] == [nn.Linear, nn.GLU, nn.Linear, nn.GLU]
    assert [type(layer) for layer in conv.lower_priors[0][0]] == [nn.Linear, nn.ELU, nn.Linear, nn.ELU]
    assert [layer.out_features for layer in conv.lower_priors[0][0][::2]] == [7, 8]


def test_the_product_of_gaussians_is_their_product_and_normalised():
    q, p = (Diagonal(4, 3)(torch.randn(2, 4)) for _ in range(2))
    z = torch.randn(50, 2, 3, dtype=torch.float64)
    constant = q.log_prob(z) + p.log_prob(z) - product(q, p).log_prob(z)
    assert torch.allclose(constant, constant[:1].expand_as(constant), atol=1e-5)


def _joint_gaussian(program):
    """Return mean and covariance of x under a hierarchy whose hidden layers are linear, read from its weights."""
    loc, covariance = torch.zeros(2), torch.eye(2)
    for prior in reversed(program.lower_priors):
        (layer,), head = prior[0], prior[1].head
        weight, bias = head.weight @ layer.weight, head.weight @ layer.bias + head.bias
        dimensions = len(bias) // 2
        # the variance does not depend on the code above: its rows of the head are zero
        loc = weight[:dimensions] @ loc + bias[:dimensions]
        covariance = weight[:dimensions] @ covariance @ weight[:dimensions].T + torch.diag(bias[dimensions:].exp())
    first, last = program.decoder.body
    weight, bias = last.weight @ first.weight, last.weight @ first.bias + last.bias
    return weight @ loc + bias, weight @ covariance @ weight.T + torch.eye(len(bias))


@pytest.mark.parametrize("inference", GUIDES)
def test_a_linear_gaussian_hierarchy_meets_its_exact_log_likelihood(inference, tmp_path):
    (tmp_path / "linear.py").write_text(LINEAR)
    program, _ = small_vae(
        shape=(1, 2, 2),
        program="hierarchical",
        latent_dim=(3, 2),
        hidden=(6,),
        network=f"{tmp_path / 'linear.py'}:Linear",
        likelihood="gaussian",
        scale=1.0,
        inference=inference,
    )
    with seeded(1), torch.no_grad():
        for prior in program.lower_priors:
            prior[1].head.weight[len(prior[1].head.bias) // 2 :] = 0.0
        for posterior in program.inference.posteriors:
            posterior.head.bias[len(posterior.head.bias) // 2 :] += 0.5  # wider than the posterior
        x = program.generate(10, mean=False)
        log_w = log_weights(program.model, program.guide, 20_000, x).double()
        exact = torch.distributions.MultivariateNormal(*_joint_gaussian(program)).log_prob(x.flatten(1))
    expect_exact(log_w, exact)


GRID = [
    *({"likelihood": name, "pixels": member.domain[0]} for name, member in LIKELIHOODS.items()),
    *({"network": name, "inference": inference} for name in NETWORKS for inference in GUIDES),
    *({"posterior": name} for name in POSTERIORS if name != "delta"),
    *({"prior": name, "inference": inference} for name in PRIORS if name != "conditional" for inference in GUIDES),
    *({"condition": condition} for condition in ("label", "quadrant1")),
    *({"condition": "label", "prior": name} for name in ("conditional", "vamp", "exemplar")),
    *({"objective": name, "particles": 2} for name in ("analytic", "stl", "iwae", "dreg", "renyi")),
]


@pytest.mark.parametrize("settings", GRID, ids=lambda settings: " ".join(map(str, settings.values())))
def test_all_parts_train_in_layers_and_resume_bit_for_bit(settings):
    settings = {"latent_dim": (4, 2), "components": 5, "epochs": 3, "skip": "yes"} | settings
    data = small_data(pixels=settings.get("pixels", "grey"))

    def start():
        program, config = small_vae(program="hierarchical", compile="no", threads=1, **settings)
        return fit(program, data, config)

    expect_resumed(start)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 4}, "latent_dim: expected two or more numbers for program hierarchical, got 4"),
        ({"posterior": "delta"}, "posterior: expected one that is a density for program hierarchical"),
        ({"posterior": "full", "inference": "ladder"}, "posterior: expected diagonal for --inference ladder"),
        (
            {"posterior": "flow", "prior": "vamp"},
            "prior: expected a posterior whose mean is known, to encode images bot",
        ),
        ({"program": "vae", "latent_dim": (4, 2)}, "latent_dim: expected one number for program 'vae', .* got 4,2"),
        (
            {"program": "vae", "latent_dim": 2, "skip": "yes"},
            r"skip: expected no, as program 'vae' .*\(hierarchical does",
        ),
        ({"program": "vae", "latent_dim": 2, "upper_hidden": (3,)}, "upper_hidden: expected nothing, as .*, got '3'"),
        ({"program": "hierarchcal"}, "did you mean 'hierarchical'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        small_vae(**({"program": "hierarchical", "latent_dim": (4, 2)} | settings))
    assert "\n" not in str(refusal.value)

import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule
from pyro.poutine import trace
from support.builders import small_data, small_vae
from torch import nn
from torch.nn import functional as F

from pyrovae import VAE, Config, InputError, build
from pyrovae.inference.objectives import TraceELBO
from pyrovae.parts.likelihoods import Gaussian
from pyrovae.parts.priors import Normal

CONDITIONS = ("none", "label", "quadrant1", "quadrant2", "quadrant3")


class Linear(nn.Module):
    """A decoder x = W z + b."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, z, y=None):
        return (z @ self.weight.T + self.bias).unflatten(-1, (1, 1, 2, 3))


class Flat(nn.Module):
    def forward(self, x, y=None):
        return x.flatten(1)


class ExactPosterior(nn.Module):
    """The posterior of the linear-Gaussian model, moved by `shift` and widened by `stretch`."""

    density = True

    def __init__(self, decoder, scale, shift=0.0, stretch=1.0):
        super().__init__()
        self.decoder, self.scale, self.shift, self.stretch = decoder, scale, shift, stretch

    def exact(self, h):
        w = self.decoder.weight
        precision = torch.eye(w.shape[1]) + w.T @ w / self.scale**2
        loc = torch.linalg.solve(precision, w.T @ (h - self.decoder.bias).T / self.scale**2).T
        return dist.MultivariateNormal(loc, precision_matrix=precision)

    def forward(self, h):
        exact = self.exact(h)
        return dist.MultivariateNormal(exact.loc + self.shift, scale_tril=exact.scale_tril * self.stretch)


@pytest.fixture
def linear_gaussian():
    """Random x of six pixels, and a function that makes the VAE of given guide; float64."""
    torch.set_default_dtype(torch.float64)
    scale, decoder = 0.7, Linear(torch.randn(6, 2), torch.randn(6))

    def make(**guide):
        return VAE(Flat(), decoder, Normal(2), ExactPosterior(decoder, scale, **guide), Gaussian(scale))

    x = torch.randn(5, 1, 2, 3) * 2
    marginal = torch.distributions.MultivariateNormal(
        decoder.bias, decoder.weight @ decoder.weight.T + scale**2 * torch.eye(6)
    )
    yield make, x, marginal.log_prob(x.flatten(1)).sum().detach()
    torch.set_default_dtype(torch.float32)


def loss_of(vae, x, particles=1):
    elbo = TraceELBO(num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1)
    return elbo.differentiable_loss(vae.model, vae.guide, x).detach()


def test_elbo_with_the_exact_posterior_is_the_log_likelihood(linear_gaussian):
    make, x, log_likelihood = linear_gaussian
    for _ in range(3):  # whatever is drawn
        assert -loss_of(make(), x).item() == pytest.approx(log_likelihood.item(), abs=1e-6)


@pytest.mark.parametrize("guide", [{"shift": 0.5}, {"stretch": 1.5}, {"stretch": 0.5, "shift": -0.1}])
def test_elbo_of_any_other_guide_is_below_by_its_kl(linear_gaussian, guide):
    make, x, log_likelihood = linear_gaussian
    vae = make(**guide)
    h = x.flatten(1)
    gap = torch.distributions.kl_divergence(vae.posterior(h), vae.posterior.exact(h)).sum()
    assert gap > 0.1
    assert (-loss_of(vae, x, particles=20_000)).item() == pytest.approx((log_likelihood - gap).item(), rel=0.01)


@pytest.mark.parametrize("condition", ["none", "label"])
def test_loss_and_gradients_equal_cross_entropy_plus_kl_written_by_hand(condition):
    vae, _ = small_vae(condition=condition)
    x = torch.rand(7, 1, 8, 8)
    y = vae.context(torch.arange(7) % 3) if condition == "label" else None
    arguments = (x,) if y is None else (x, y)
    torch.manual_seed(1)
    loss = TraceELBO(max_plate_nesting=1).differentiable_loss(vae.model, vae.guide, *arguments)
    gradients = torch.autograd.grad(loss, list(vae.parameters()))

    torch.manual_seed(1)
    h = vae.encoder.body(x.flatten(1) if y is None else torch.cat([x.flatten(1), y], 1))
    loc, log_variance = vae.posterior.head(h).chunk(2, -1)
    noise = torch.randn(7, 2)
    z = loc + (log_variance / 2).exp() * noise
    logits = vae.decoder.body(z if y is None else torch.cat([z, y], 1))
    cross_entropy = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
    kl = (z.square() / 2 - noise.square() / 2 - log_variance / 2).sum()  # log q(z|x) - log p(z): the 2π cancel
    by_hand = cross_entropy + kl
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-6)
    for ours, theirs in zip(gradients, torch.autograd.grad(by_hand, list(vae.parameters()))):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_expected_kl_is_the_closed_form():
    vae, _ = small_vae()
    x = torch.rand(3, 1, 8, 8)
    elbo = TraceELBO(num_particles=50_000, vectorize_particles=True, max_plate_nesting=1)
    with torch.no_grad():
        elbo.differentiable_loss(vae.model, vae.guide, x)
        loc, log_variance = vae.posterior.head(vae.encoder(x)).chunk(2, -1)
    closed = -0.5 * (1 + log_variance - loc.square() - log_variance.exp()).sum()
    assert elbo.terms["z"].item() == pytest.approx(closed.item(), abs=0.02)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 10, 12)])
def test_every_question_has_an_answer_of_the_right_shape(condition, network, shape):
    vae, _ = small_vae(shape=shape, condition=condition, network=network)
    x = torch.rand(4, *shape)
    y = {"n": None, "l": torch.tensor([0, 1, 2, 0]), "q": x}[condition[0]]
    assert vae.encode(x, y).batch_shape == (4,)
    assert vae.encode(x, y).event_shape == (2,)
    for images in (vae.generate(4, y), vae.reconstruct(x, y), vae.decode(torch.randn(4, 2), y)):
        assert images.shape == (4, *shape)
        assert images.min() >= 0
        assert images.max() <= 1
        assert not images.requires_grad
    drawn = vae.generate(4, y, mean=False)
    if condition[0] != "q":
        assert set(drawn.unique().tolist()) <= {0.0, 1.0}


def test_the_model_scores_and_generates():
    vae, _ = small_vae()
    x = torch.rand(4, 1, 8, 8).round()
    scored = trace(vae.model).get_trace(x)
    assert scored.nodes["x"]["is_observed"]
    assert scored.log_prob_sum().isfinite()
    assert vae.model(n=6).shape == (6, 1, 8, 8)


@pytest.mark.parametrize(("condition", "seen"), [("quadrant1", 1), ("quadrant2", 2), ("quadrant3", 3)])
def test_only_unseen_pixels_are_scored_and_seen_ones_are_kept(condition, seen):
    vae, _ = small_vae(condition=condition)
    mask = vae.context.seen
    assert mask.sum() == 16 * seen
    assert mask[0, 7, 0]  # the lower left comes first
    assert not mask[0, 7, 7]  # the lower right is never seen
    x = torch.rand(4, 1, 8, 8)
    y, z = vae.context(x), torch.randn(4, 2)
    assert (y[:, ~mask] == 0).all()

    def score(images):
        return vae.likelihood(vae.decoder(z, y)).log_prob(images)

    altered = torch.where(mask, 1 - x, x)
    assert torch.equal(score(x), score(altered))
    logits = vae.decoder(z, y)[:, 0]
    by_hand = -F.binary_cross_entropy_with_logits(logits, x, reduction="none")[:, ~mask].sum(1)
    torch.testing.assert_close(score(x), by_hand)
    assert not torch.equal(score(x), score(torch.where(mask, x, 1 - x)))
    completed = vae.complete(x)
    assert torch.equal(completed[:, mask], x[:, mask])
    assert not torch.equal(vae.complete(x), completed)  # another draw, another completion


def test_a_component_written_as_a_pyro_module_trains_and_stays_out_of_the_store():
    """The autouse fixture looks into the store."""
    from pyro.infer import Trace_ELBO

    from pyrovae import SVI

    plain, _ = small_vae()
    decoder = PyroModule[nn.Sequential](PyroModule[nn.Linear](2, 64), PyroModule[nn.Unflatten](-1, (1, 1, 8, 8)))

    class Decoder(PyroModule):
        def __init__(self):
            super().__init__()
            self.body = decoder

        def forward(self, z, y=None):
            return self.body(z)

    vae = VAE(plain.encoder, Decoder(), plain.prior, plain.posterior, plain.likelihood)
    before = [p.clone() for p in vae.decoder.parameters()]
    svi = SVI(vae.model, vae.guide, torch.optim.Adam(vae.parameters()), Trace_ELBO())
    svi.step(torch.rand(4, 1, 8, 8))
    assert all(not torch.equal(a, b) for a, b in zip(before, vae.decoder.parameters()))
    assert vae.generate(2).shape == (2, 1, 8, 8)


def test_the_seed_decides_the_weights_and_the_global_state_stays():
    state = torch.random.get_rng_state()
    (one, _), (two, _), (other, _) = small_vae(seed=3), small_vae(seed=3), small_vae(seed=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name])
    assert not torch.equal(one.decoder.body[0].weight, other.decoder.body[0].weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"likelihood": "bernouli"}, "did you mean 'bernoulli'"),
        ({"prior": "norml"}, "did you mean 'normal'"),
        (
            {"posterior": "diag"},
            "posterior: expected one of diagonal, lowrank, full, flow, delta or FILE.py:Class, got 'diag'",
        ),
        ({"network": "unet"}, "network: expected one of mlp, gated, conv, resnet or FILE.py:Class, got 'unet'"),
        ({"activation": "rely"}, "did you mean 'relu'"),
        ({"pixels": "standardized"}, "expects dynamic or static or threshold or grey, got 'standardized'"),
        ({"likelihood": "gaussian", "pixels": "static"}, "which fits likelihood bernoulli"),
        ({"condition": "label"}, "expects images with labels, got none"),
        ({"network": "conv"}, "expected images of 8 to 64 pixels a side, got 4×4"),
        ({"likelihood": "nowhere:Class"}, "expected a class at 'nowhere:Class'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(settings, message):
    with pytest.raises(InputError) as refusal:
        build(Config(**settings), (1, 4, 4), classes=0)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_wrong_contexts_are_refused():
    (plain, _), (labelled, _) = small_vae(), small_vae(condition="label")
    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(InputError, match="expected none, as the model is unconditional"):
        plain.generate(2, torch.tensor([0, 1]))
    with pytest.raises(InputError, match="expected labels, as the model is conditional, got none"):
        labelled.reconstruct(x)
    with pytest.raises(InputError, match="labels from 0 to 2, got 0 to 3"):
        labelled.generate(2, torch.tensor([0, 3]))
    with pytest.raises(InputError, match="conditioned on quadrants"):
        plain.complete(x)
    quadrants, _ = small_vae(condition="quadrant1")
    with pytest.raises(InputError, match=r"expected images of shape \(1, 8, 8\), got \(1, 9, 9\)"):
        quadrants.complete(torch.rand(2, 1, 9, 9))


@pytest.mark.parametrize(
    "y", [3, torch.tensor(3), torch.tensor([0]), torch.tensor([0.0, 1.0]), torch.eye(2), torch.zeros(2, 1).long()]
)
def test_a_context_of_the_wrong_kind_is_refused_in_one_line(y):
    vae, _ = small_vae(condition="label")
    with pytest.raises(InputError, match=r"y: expected .*, got"):
        vae.generate(2, y)


def test_labels_may_be_of_any_integer_type_or_one_hot():
    vae, _ = small_vae(condition="label")
    z = torch.randn(2, 2)
    images = [vae.decode(z, y) for y in (torch.tensor([0, 2]), torch.tensor([0, 2]).int(), torch.eye(3)[[0, 2]])]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


def test_a_learned_prior_is_refused_where_nothing_trains_it():
    with pytest.raises(InputError, match="posterior 'delta' has no KL to train it by, got 'conditional'"):
        small_vae(condition="quadrant1", posterior="delta")
    assert not small_vae(condition="quadrant1", posterior="delta", prior="normal")[0].has_kl


def test_a_likelihood_without_a_known_mean_shows_a_draw():
    class LogitNormal(nn.Module):
        def forward(self, h):
            (loc,) = h.unbind(-4)
            return dist.TransformedDistribution(dist.Normal(loc, 1.0), dist.transforms.SigmoidTransform()).to_event(3)

    plain, _ = small_vae()
    vae = VAE(plain.encoder, plain.decoder, plain.prior, plain.posterior, LogitNormal())
    images = vae.generate(3)
    assert images.shape == (3, 1, 8, 8)
    assert ((images > 0) & (images < 1)).all()


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
def test_a_class_of_ones_own_that_does_not_serve_is_refused(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=message):
        small_vae(likelihood=f"{tmp_path / 'mine.py'}:Mine")


def test_a_posterior_of_ones_own_need_not_say_that_it_is_a_density(tmp_path):
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


def test_a_class_from_a_file_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import pyro.distributions as dist\n"
        "from torch import nn\n"
        "class Laplace(nn.Module):\n"
        "    features, domain = 2, ('grey',)\n"
        "    def __init__(self, shape, latent_dim):\n"
        "        super().__init__()\n"
        "        self.asked = (shape, latent_dim)\n"
        "    def forward(self, h):\n"
        "        loc, log_scale = h.unbind(-4)\n"
        "        return dist.Laplace(loc, log_scale.exp()).to_event(3)\n"
    )
    vae, _ = small_vae(likelihood=f"{tmp_path / 'mine.py'}:Laplace")
    assert vae.likelihood.asked == ((1, 8, 8), 2)
    data = small_data()
    assert loss_of(vae, data.batch(data.train, slice(0, 5)).x).isfinite()

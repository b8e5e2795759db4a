"""What a configuration means: every listed member held against plain PyTorch, and what is printed and drawn of it."""

import importlib.util
import re
import shutil
from pathlib import Path

import pyro.distributions as dist
import pytest
import torch
from PIL import Image
from support.builders import small_data, small_vae
from support.commands import TINY, pyrovae
from torch import nn
from torch.autograd import functional

from pyrovae import fit
from pyrovae.cli.explain.diagram import diagram
from pyrovae.config.presets import presets
from pyrovae.explain import listing as anatomy
from pyrovae.explain.explanation import explain
from pyrovae.explain.formulas import Symbols
from pyrovae.explain.listing import source_of, written
from pyrovae.explain.plates import by_graphviz, plates, typeset
from pyrovae.figures.style import as_picture
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.densities import declared
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.posteriors.gaussian import Diagonal
from pyrovae.parts.priors import PRIORS
from pyrovae.parts.priors.flow import Flow
from pyrovae.parts.priors.standard import Normal

CONDITIONS = ("none", "label", "quadrant1")
LEARNED = ("mixture", "vamp", "exemplar", "flow", "conditional")
PAIRS = [
    (prior, posterior, condition)
    for prior in PRIORS
    for posterior in POSTERIORS
    for condition in CONDITIONS
    if not (prior in LEARNED and posterior == "delta") and not (prior == "conditional" and condition == "none")
]


def explained(trained=True, shape=(1, 8, 8), n=12, **settings):
    """A small VAE of these settings, taken apart; after two epochs, so that no part is at its start."""
    settings = {"components": 7, "latent_dim": 3} | settings
    settings.setdefault("pixels", LIKELIHOODS[settings.get("likelihood", "bernoulli")].domain[0])
    vae, config = small_vae(shape=shape, **settings)
    data = small_data(shape=shape, pixels=config.pixels)
    fitting = fit(vae, data, config)
    if trained:
        for _ in fitting:
            pass
    return explain(vae, data.batch(data.test, slice(0, n)), config)


def worst(found):
    """The largest difference in nats per image, of which there must be one for each term."""
    terms = [*found.terms, found.total, found.elbo, *found.kls[:1]]
    assert not found.missing
    assert None not in [term.difference for term in terms]
    return max(term.difference for term in [*terms, *found.kls] if term.difference is not None)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_is_what_its_formula_says(likelihood, condition):
    found = explained(likelihood=likelihood, condition=condition, scale="pixel" if condition == "label" else "shared")
    assert worst(found) < 1e-9
    assert found.holds
    assert [term.name for term in found.terms][1] == ("log p(x | z)" if condition == "none" else "log p(x | z, y)")


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical", "discretized_logistic_mixture"])
def test_of_colours_too(likelihood):
    assert worst(explained(likelihood=likelihood, shape=(3, 6, 6), condition="quadrant2")) < 1e-9


@pytest.mark.parametrize(("prior", "posterior", "condition"), PAIRS)
def test_every_prior_and_posterior_is_what_its_formula_says(prior, posterior, condition):
    found = explained(prior=prior, posterior=posterior, condition=condition)
    assert worst(found) < 1e-9
    assert found.holds
    assert len(found.terms) == (1 if posterior == "delta" else 3)
    assert found.formulas[1].left == ("p(z | y)" if prior == "conditional" else "p(z)")


@pytest.mark.parametrize("prior", ["flow"])
def test_the_other_flow_too(prior):
    assert worst(explained(prior=prior, flow="coupling")) < 1e-9


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_has_a_formula(objective):
    found = explained(trained=False, objective=objective, particles=4, beta=0.5, warmup=3, cycle=6, free_bits=0.1)
    loss = found.formulas[-1]
    assert loss.left == "loss"
    assert "p(x | z" in " ".join((loss.right, *loss.where))
    assert "β = 0.5, from 0 over 3 epochs, again every 6" in loss.where
    assert "0.1 nats of KL free in each dimension" in loss.where
    assert ("K = 4" in loss.where) is ("1/K" in loss.right)


@pytest.mark.parametrize("family", [LIKELIHOODS, PRIORS, POSTERIORS])
def test_every_member_has_a_formula(family):
    assert all(member.formula for member in family.values())


def test_symbols_name_the_context_where_it_is_read():
    text = "−E_q[log p(x | z)] + log q(z | x) − log p(z)"
    assert Symbols.of(False, False).put(text) == text
    assert Symbols.of(True, False).put(text) == "−E_q[log p(x | z, y)] + log q(z | x, y) − log p(z)"
    assert Symbols.of(True, True).put("p(zₖ) / q(zₖ | x)") == "p(zₖ | y) / q(zₖ | x, y)"


def test_the_exact_kl_is_the_one_that_the_vae_paper_prints():
    """−½ Σ 1 + log σ² − μ² − σ², of Kingma & Welling's appendix B."""
    vae, config = small_vae(latent_dim=4)
    data = small_data()
    batch = data.batch(data.test, slice(0, 20))
    found = explain(vae, batch, config)
    q = vae.encode(batch.x)
    by_hand = -0.5 * (1 + q.variance.log() - q.mean**2 - q.variance).sum(-1).mean()
    assert found.kls[1].pyro == pytest.approx(by_hand.item(), abs=1e-6)
    assert found.kls[1].difference < 1e-9


def test_a_flows_determinant_is_that_of_its_jacobian():
    prior = Flow(3, "autoregressive").double()
    z = torch.randn(5, 3, dtype=torch.float64)
    jacobians = torch.stack([functional.jacobian(prior.bent, row[None])[0, :, 0] for row in z])
    normal = dist.Normal(0.0, 1.0).log_prob(prior.bent(z)).sum(-1)
    torch.testing.assert_close(prior.log_density(None, z), normal + jacobians.det().abs().log())


def test_the_vae_stays_as_it_is():
    vae, config = small_vae(network="conv", prior="exemplar", components=5)
    data = small_data()
    fit(vae, data, config)
    vae.train()
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    explain(vae, data.batch(data.test, slice(0, 4)), config)
    assert vae.training
    assert torch.get_default_dtype() == torch.float32
    assert all(torch.equal(tensor, before[name]) for name, tensor in vae.state_dict().items())


def test_the_sites_are_those_of_the_traces():
    found = explained(trained=False, condition="quadrant1", n=5)
    rows = [(s.program, s.name, s.distribution, s.batch, s.event, s.plates, s.observed, s.numbers) for s in found.sites]
    assert rows == [
        ("model", "z", "Normal.to_event(1)", (5,), (3,), {"images": 5}, False, 15),
        ("model", "x", "Bernoulli.mask.to_event(3)", (5,), (1, 8, 8), {"images": 5}, True, 320),
        ("guide", "z", "Normal.to_event(1)", (5,), (3,), {"images": 5}, False, 15),
    ]
    assert found.parameters["encoder"] == (64 + 64 + 1) * 16
    assert any("48 pixels that y does not show" in note for formula in found.formulas for note in formula.where)


def test_distributions_are_written_as_one_would():
    assert written(explained_posterior("flow")) == "Normal.to_event(1) bent 2 times"
    assert written(dist.Normal(0.0, 1.0).expand([3]).to_event(1)) == "Normal.to_event(1)"


def explained_posterior(name):
    return POSTERIORS[name](features=5, latent_dim=2)(torch.zeros(1, 5))


# --- a check that can fail ---


def test_a_density_that_is_not_its_formula_is_found(monkeypatch):
    """Of the prior's variance, one part in a million is missing."""
    monkeypatch.setattr(Normal, "distribution", lambda self: dist.Normal(self.loc, self.scale * (1 + 1e-6)))
    found = explained(trained=False)
    prior, likelihood, posterior = found.terms
    assert not found.holds
    assert (prior.holds, likelihood.holds, posterior.holds) == (False, True, True)
    assert (found.total.holds, found.elbo.holds) == (False, False)


def test_a_number_that_is_none_is_no_match(monkeypatch):
    monkeypatch.setattr(Diagonal, "log_density", lambda self, h, z: torch.full_like(z[:, 0], torch.nan))
    assert [term.holds for term in explained(trained=False).terms] == [True, True, False]


def test_a_mismatch_is_told_and_the_exit_code_stays(here, monkeypatch, capsys):
    monkeypatch.setattr(Normal, "log_density", lambda self, y, z: -(z**2).sum(-1))
    assert pyrovae(f"explain {TINY} --images 5") == 0
    told = capsys.readouterr().out
    assert "They do not agree." in told
    assert re.search(r"log p\(z\) .* ✗\n", told)
    assert re.search(r"log p\(x \| z\) .* ✓\n", told)


# --- classes of one's own ---

OWN = """
import pyro.distributions as dist
from torch import nn
from pyrovae.parts.posteriors.gaussian import Diagonal


class Wide(nn.Module):
    def __init__(self, latent_dim, components):
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self, y=None):
        return dist.Normal(0.0, 2.0).expand([self.latent_dim]).to_event(1)


class Twice(Diagonal):
    def forward(self, h):
        return dist.Normal(self.head(h)[..., : h.shape[-1]].chunk(2, -1)[0], 2.0).to_event(1)
"""


def test_a_class_of_ones_own_is_shown_by_its_name_and_not_held_against_another(here, capsys):
    (here / "own.py").write_text(OWN)
    line = f"explain --prior own.py:Wide --posterior own.py:Twice --images 5 --figure own.svg {TINY}"
    assert pyrovae(line) == 0
    told = capsys.readouterr().out
    assert "p(z)      = Wide(z)" in told
    assert "q(z | x)  = Twice(z; x)" in told
    assert "no formula in plain PyTorch for prior Wide, posterior Twice" in told
    assert "own.py:12" in told
    assert re.search(r"Trace_ELBO +-\d+\.\d+ +– .* ✓\n", told)
    assert "They agree, as far as both are there." in told
    assert (here / "own.svg").exists()


def test_an_attribute_counts_only_where_forward_is_the_same():
    class Renamed(Diagonal):
        """The same density."""

    class Other(Diagonal):
        def forward(self, h):
            return super().forward(2 * h)

    assert declared(Renamed(3, 2), "formula") == Diagonal.formula
    assert declared(Other(3, 2), "formula") is None
    assert declared(nn.Linear(1, 1), "log_density") is None


def test_what_has_no_file_has_no_source():
    names = {}
    exec("def typed(): pass", names)
    assert source_of(names["typed"]) is None


def test_a_file_is_named_from_the_package_on_whatever_the_folders_above_are_called(monkeypatch):
    package = Path("/home/ann/pyrovae/pyrovae")
    monkeypatch.setattr(anatomy, "PACKAGE", package)
    assert anatomy._short(package / "priors/flow.py") == "pyrovae/priors/flow.py"
    assert anatomy._short(package.parent / "soft.py") == "soft.py"


# --- the command ---


def test_it_prints_every_part_in_eighty_columns(here, capsys):
    assert pyrovae(f"explain --condition label --images 7 {TINY}") == 0
    told = capsys.readouterr().out
    for part in (
        "p(x, z | y)   = p(z) p(x | z, y)",
        "prior normal",
        "likelihood bernoulli; πᵢ = σ(hᵢ); h = decoder(z, y)",
        "q(z | x, y)   = N(z; μ, diag σ²)",
        "log p(x | y)  ≥ E_q[log p(z) + log p(x | z, y) − log q(z | x, y)]",
        "objective elbo; β = 1",
        "network mlp, hidden = 16, activation = relu",
        'z = pyro.sample("z", self.prior(y))',
        "pyrovae/posteriors/gaussian.py:",
        "model  x     Bernoulli.to_event(3)  7      1×8×8      448  images  yes",
        "7 images, one code each, the same for both",
        "They agree.",
        "binary_cross_entropy_with_logits",
    ):
        assert part in told
    assert max(map(len, told.splitlines())) <= 80
    assert "\x1b" not in told
    assert not any(line.endswith(" ") for line in told.splitlines())


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_named(name, monkeypatch, here, capsys):
    """On small images, and few of them."""
    monkeypatch.setattr("pyrovae.data.data.load", lambda config: small_data(shape=(1, 8, 8), pixels=config.pixels))
    assert pyrovae(f"explain {name} --images 4 --hidden 16 --components 5 --latent-dim 3 --batch-size 8") == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{name}: initial weights\n")
    assert "They agree." in told


def test_a_run_is_explained_with_its_own_weights(world, capsys):
    assert pyrovae("explain run --images 6") == 0
    trained = capsys.readouterr().out
    assert trained.startswith("run: trained weights\n")
    assert pyrovae("explain run --images 6 --objective iwae --particles 4") == 0
    assert capsys.readouterr().out.startswith("run: trained weights\n")
    assert pyrovae("explain run --images 6 --latent-dim 5") == 0
    assert capsys.readouterr().out.startswith("run: initial weights, as latent_dim is changed\n")
    assert pyrovae("explain bare --images 6") == 0
    assert capsys.readouterr().out.startswith("bare: initial weights, as the run holds none\n")
    assert pyrovae("explain label --images 6") == 0
    assert "q(z | x, y)" in capsys.readouterr().out


def test_the_name_of_a_preset_means_the_preset(world, capsys):
    shutil.copytree("run", "digits")
    assert pyrovae(f"explain digits --images 4 {TINY}") == 0
    assert capsys.readouterr().out.startswith("digits: initial weights\n")
    assert pyrovae("explain ./digits --images 4") == 0
    assert capsys.readouterr().out.startswith("./digits: trained weights\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "mnist-cvea",
            "explain: expected a preset (pyrovae list presets) or a run folder, got 'mnist-cvea'",
        ),
        ("nowhere/run", "explain: expected a preset (pyrovae list presets) or a run folder, got 'nowhere/run'"),
        ("data", "run: expected a run folder with a config.toml at data, got a folder without one"),
        ("text.npz", "run: expected a run folder with a config.toml at text.npz, got a file"),
        ("bad-config", "config: expected TOML, got: "),
        ("bad-weights", "run: expected a sound model.safetensors in bad-weights, got: "),
        ("digits run", "expected no more arguments, got 'run'"),
        ("--latnet-dim 3", "unknown flag --latnet-dim; did you mean '--latent-dim'?"),
        ("--figure plates.gif", "figure: expected a file that ends in .png or .svg or .pdf, got 'plates.gif'"),
        ("--figure taken.png", "figure: taken.png already exists; expected --force or another name"),
        ("--figure nowhere/a.png", "figure: expected a folder at "),
        ("--graphviz", "graphviz: expected --figure FILE beside it, got none"),
        ("--images 0", "images: expected a whole number from 1 to 1000000000, got '0'"),
        ("--prior nromal", "prior: expected one of "),
        ("--objective iwae", "particles: objective 'iwae' expects 2 or more (1 is the elbo), got 1"),
        ("run --objective iwae", "particles: objective 'iwae' expects 2 or more (1 is the elbo), got 1"),
        ("''", "explain: expected a path, got ''"),
    ],
)
def test_bad_input_is_told_in_one_line(line, told, world, capsys):
    assert pyrovae(f"explain {line}") == 2
    printed = capsys.readouterr()
    assert re.fullmatch(rf"pyrovae: {re.escape(told)}.*\n", printed.err)
    assert printed.out == ""


def test_a_run_does_not_choose_the_code(world, capsys):
    """A class that a folder names is loaded only if it is repeated."""
    (world / "own.py").write_text(OWN)
    path = world / "run/config.toml"
    path.write_text(path.read_text().replace('prior = "normal"', 'prior = "own.py:Wide"'))
    assert pyrovae("explain run") == 2
    assert "prior: expected --prior own.py:Wide beside run" in capsys.readouterr().err
    assert pyrovae("explain run --prior own.py:Wide --images 3") == 0
    assert capsys.readouterr().out.startswith("run: trained weights\n")


# --- pictures ---


@pytest.mark.parametrize(
    ("settings", "drawn", "not_drawn"),
    [
        ({}, ["φ ┄┄┄┄┄┄┼┄┄┄▷ │ z"], ["│ y", "◀", "◁", "▶ │ 3 "]),
        ({"prior": "vamp"}, ["θ ──────┼───▶ │ 3 "], ["│ y", "◀"]),
        ({"condition": "label"}, ["│ y", "◁┄┄┄┄┄┄┄┄┄┄┄┄┐ ", "┌───┴─"], ["▶ │ 3 ", "◀──────────┐"]),
        ({"condition": "label", "prior": "mixture"}, ["▶ │ 3 ", "◁┄┄┄┄┄┄┄┄┄┄┄┄┐ "], ["◀──────────┐"]),
        ({"condition": "quadrant1"}, ["│ 1×8×8 "], []),
        ({"condition": "label", "prior": "conditional"}, ["▶ │ 3           │ ◀──────────┐ ┊", "┌─┴─┴─"], []),
    ],
)
def test_the_plates_on_the_terminal_show_the_arrows_that_are_there(settings, drawn, not_drawn):
    """Into z from y only where the prior reads it, from parameters θ only where it has some."""
    found = explained(trained=False, **settings)
    text = diagram(found).plain
    assert len({len(line) for line in text.splitlines()}) == 1
    assert "┌─ images, N = 12 ─" in text
    for part in drawn:
        assert part in text
    for part in not_drawn:
        assert part not in text


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_figure_is_written_by_its_ending(kind, here, capsys):
    assert pyrovae(f"explain --images 5 --figure plates.{kind} {TINY}") == 0
    content = (here / f"plates.{kind}").read_bytes()
    assert {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind] == content[: 4 if kind != "svg" else 5]
    assert capsys.readouterr().out.endswith(f"plates.{kind}\n")
    if kind == "png":
        with Image.open(here / "plates.png") as picture:
            assert picture.size == (1999, 1125)


@pytest.mark.parametrize(
    "settings",
    [
        {"likelihood": "discretized_logistic_mixture", "condition": "quadrant3"},
        {"prior": "exemplar", "condition": "label", "objective": "renyi", "particles": 5},
        {"likelihood": "negative_binomial", "posterior": "flow", "objective": "mmd"},
        {"posterior": "delta", "likelihood": "continuous_bernoulli"},
        {"posterior": "lowrank", "prior": "conditional", "condition": "quadrant1", "objective": "dreg", "particles": 2},
    ],
)
def test_every_formula_can_be_drawn_and_lies_within_the_slide(settings):
    """A glyph that the font lacks would warn, which fails here."""
    figure = plates(explained(trained=False, **settings), "a name with $ and ^")
    as_picture(figure, "png")
    (axes,) = figure.axes
    inside = figure.bbox
    for text in axes.texts:
        box = text.get_window_extent()
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1
        assert inside.y0 <= box.y0
        assert box.y1 <= inside.y1


@pytest.mark.parametrize("family", [LIKELIHOODS, PRIORS, POSTERIORS, OBJECTIVES])
def test_every_formula_is_typeset(family):
    for member in family.values():
        first = member.formula.split("\n")[0]
        assert "^" not in re.sub(r"\$.*?\$", "", typeset(first))
        assert typeset(first).count("$") % 2 == 0


def test_a_formula_of_ones_own_is_no_mathematics():
    assert typeset(r"$\frac{1}{2}$^(\evil)") == r"\$\frac{1}{2}\$^(\evil)"


def test_graphviz_that_is_missing_is_told(here, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert pyrovae(f"explain --figure plates.png --graphviz {TINY}") == 2
    wanted = "got no package (pip install graphviz) and no program dot\n"
    assert capsys.readouterr().err.endswith(wanted)
    assert not (here / "plates.png").exists()


def test_pyro_draws_the_model_where_graphviz_is():
    pytest.importorskip("graphviz", reason="no package graphviz: pip install graphviz")
    if not shutil.which("dot"):
        pytest.skip("no program dot: install Graphviz")
    vae, _ = small_vae()
    data = small_data()
    drawn = by_graphviz(vae, data.batch(data.test, slice(0, 3)), "svg").decode()
    assert "x ~ Bernoulli" in drawn
    assert "z&#45;&gt;x" in drawn

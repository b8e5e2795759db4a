"""The command `pyrovae explain`: what it prints, draws and refuses."""

import importlib.util
import re
import shutil

import pytest
from PIL import Image
from support.builders import small_data
from support.commands import TINY, pyrovae
from support.programs import BRIGHT
from support.runs import leave_out_digests

from pyrovae.config.presets import preset, presets
from pyrovae.config.settings import Config
from pyrovae.parts.priors.standard import Normal


def test_a_mismatch_is_printed_and_the_exit_code_is_zero(here, monkeypatch, capsys):
    monkeypatch.setattr(Normal, "log_density", lambda self, y, z: -(z**2).sum(-1))
    assert pyrovae(f"explain {TINY} --images 5") == 0
    printed = capsys.readouterr().out
    assert "They do not agree." in printed
    assert re.search(r"log p\(z\) .* ✗\n", printed)
    assert re.search(r"log p\(x \| z\) .* ✓\n", printed)


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


def test_a_users_class_without_a_formula_is_shown_by_its_name(here, capsys):
    (here / "own.py").write_text(OWN)
    line = f"explain --prior own.py:Wide --posterior own.py:Twice --images 5 --figure own.svg {TINY}"
    assert pyrovae(line) == 0
    printed = capsys.readouterr().out
    assert "p(z)      = Wide(z)" in printed
    assert "q(z | x)  = Twice(z; x)" in printed
    assert "no formula in plain PyTorch for prior Wide, posterior Twice" in printed
    assert "own.py:12" in printed
    assert re.search(r"Trace_ELBO +-\d+\.\d+ +– .* ✓\n", printed)
    assert "They agree, as far as both are there." in printed
    assert (here / "own.svg").exists()


SMALL = "--hidden 16 --batch-size 64 --images 5"


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "--program hierarchical --latent-dim 4,2",
            [
                "p(x, z1, z2)   = p(z2) p(z1 | z2) p(x | z1)",
                "lower_priors.0.1 Diagonal",
                "BottomUp.forward",
                "Trace_ELBO",
            ],
        ),
        (
            "--program semi_supervised --labelled 20",
            ["≥ Σ_y q(y | x) E_q[log p(y)", "TraceEnum_ELBO", "classifier", "10×5", "summed"],
        ),
        (
            "--program bright.py:Bright",
            ["N(brightness; μ, σ²)", "μ = 0; σ = 1", "bright.py:17", "KL of brightness, exact"],
        ),
    ],
)
def test_every_program_is_explained(line, parts, here, capsys):
    (here / "bright.py").write_text(BRIGHT)
    assert pyrovae(f"explain {line} {SMALL} --figure own.png") == 0
    printed = capsys.readouterr().out
    for part in (*parts, "5 images, one draw each", "They agree."):
        assert part in printed
    assert max(map(len, printed.splitlines())) <= 80
    with Image.open(here / "own.png") as picture:
        assert picture.size == (1999, 1125)


def test_everything_is_printed_in_eighty_columns(here, capsys):
    assert pyrovae(f"explain --condition label --images 7 {TINY}") == 0
    printed = capsys.readouterr().out
    for part in (
        "p(x, z | y)   = p(z) p(x | z, y)",
        "prior normal",
        "likelihood bernoulli; πᵢ = σ(hᵢ); h = decoder(z, y)",
        "q(z | x, y)   = N(z; μ, diag σ²)",
        "log p(x | y)  ≥ E_q[log p(z) + log p(x | z, y) − log q(z | x, y)]",
        "objective elbo; β = 1",
        "network mlp, hidden = 16, activation = relu",
        'z = pyro.sample("z", self.prior(y))',
        "pyrovae/parts/posteriors/gaussian.py:",
        "model  x     Bernoulli.to_event(3)  7      1×8×8      448  images  yes",
        "7 images, one code each, the same for both",
        "They agree.",
        "binary_cross_entropy_with_logits",
    ):
        assert part in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert "\x1b" not in printed
    assert not any(line.endswith(" ") for line in printed.splitlines())


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_explained(name, monkeypatch, here, capsys):
    """Four small images suffice."""
    config = Config.from_toml(preset(name))
    monkeypatch.setattr("pyrovae.data.loading.load", lambda config: small_data(shape=(1, 8, 8), pixels=config.pixels))
    few = {"hierarchical": "--latent-dim 3,2", "stacked": "--latent-dim 3,2", "discrete": "--variables 3"}
    smaller = few.get(config.program, "--latent-dim 3")
    smaller += " --hidden 16" * (config.network in ("mlp", "gated"))
    smaller += " --components 5" * (config.prior in ("vamp", "exemplar"))
    assert pyrovae(f"explain {name} --images 4 {smaller} --batch-size 8") == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: initial weights\n")
    assert "They agree." in printed


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
    ("line", "message"),
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
def test_bad_input_is_refused_in_one_line(line, message, world, capsys):
    assert pyrovae(f"explain {line}") == 2
    printed = capsys.readouterr()
    assert re.fullmatch(rf"pyrovae: {re.escape(message)}.*\n", printed.err)
    assert printed.out == ""


def test_a_class_that_a_run_names_is_loaded_only_if_the_user_repeats_it(world, capsys):
    (world / "own.py").write_text(OWN)
    path = world / "run/config.toml"
    path.write_text(path.read_text().replace('prior = "normal"', 'prior = "own.py:Wide"'))
    leave_out_digests(world / "run")
    assert pyrovae("explain run") == 2
    assert "prior: expected --prior own.py:Wide beside run" in capsys.readouterr().err
    assert pyrovae("explain run --prior own.py:Wide --images 3") == 0
    assert capsys.readouterr().out.startswith("run: trained weights\n")


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_suffix_of_the_file_chooses_its_kind(kind, here, capsys):
    assert pyrovae(f"explain --images 5 --figure plates.{kind} {TINY}") == 0
    content = (here / f"plates.{kind}").read_bytes()
    assert {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind] == content[: 4 if kind != "svg" else 5]
    assert capsys.readouterr().out.endswith(f"plates.{kind}\n")
    if kind == "png":
        with Image.open(here / "plates.png") as picture:
            assert picture.size == (1999, 1125)


def test_a_missing_graphviz_is_refused_before_any_work(here, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert pyrovae(f"explain --figure plates.png --graphviz {TINY}") == 2
    wanted = "got no package (pip install graphviz) and no program dot\n"
    assert capsys.readouterr().err.endswith(wanted)
    assert not (here / "plates.png").exists()

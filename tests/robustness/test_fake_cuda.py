"""What can be held about CUDA without a GPU: devices are never mixed, and no step makes the host wait.

A CUDA graph, the numbers and the speed of a GPU are left to the tests marked `cuda` and `pyrovae bench --accept`.
"""

import numpy as np
import pyro
import pytest
import torch
from support.builders import small_data, small_vae
from support.fake_cuda import CUDA, Waits, fake_cuda, fake_processes
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeCopyMode
from torch.utils._pytree import tree_map

from pyrovae import Config, Data, fit, log_likelihoods
from pyrovae.evaluation.annealing import annealed_log_weights
from pyrovae.evaluation.elbo import arguments
from pyrovae.evaluation.importance import log_weights
from pyrovae.figures import FIGURES
from pyrovae.figures.style import Unfit
from pyrovae.inference.graphs import trace_graph
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.contexts import Label
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.programs import PROGRAMS
from pyrovae.programs.build import build_for
from pyrovae.training.step import training_mode

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA: the tests marked `cuda` run on it")
SIZES = {"hierarchical": {"latent_dim": (4, 2)}, "stacked": {"latent_dim": (4, 2)}, "discrete": {"variables": 3}}
OF_TABLES = {"columns", "not_at_random"}  # which images do not have
FIGURES_OF_IMAGES = ("reconstructions", "samples", "latent", "manifold", "interpolations", "traversals")
FIGURES_OF_IMAGES += ("kl_per_dimension", "conditions", "completions", "confusion", "clusters")
CHOOSING = {"interpolations", "confusion"}  # how many images have a label: fake labels do not say
KINDS = ("student_t", "binary", "count", "category", "gaussian")
GRID = [
    *({"network": name} for name in NETWORKS),
    *({"likelihood": name, "pixels": part.domain[0]} for name, part in LIKELIHOODS.items() if name not in OF_TABLES),
    *({"prior": name, "condition": "label", "components": 5} for name in PRIORS),
    *({"posterior": name} for name in POSTERIORS),
    *({"objective": name, "particles": 3} for name in OBJECTIVES),
    *({"program": name} | SIZES.get(name, {}) for name in PROGRAMS if name not in OF_TABLES),
    {"condition": "quadrant2"},
    *({"likelihood": "gaussian", "scale": scale} for scale in (0.1, "pixel", "optimal")),
    {"likelihood": "beta", "pixels": "dequantised"},
    {"likelihood": "gaussian", "pixels": "standardized"},
    {"grad_clip": 1.0},
    {"on_nan": "skip"},
    {"precision": "bf16"},
    {"free_bits": 0.5},
    {"warmup": 1, "schedule": "cosine"},
]


def images(**settings):
    vae, config = small_vae(**settings)
    return vae, config, small_data(pixels=config.pixels)


def table(**settings):
    """Build a program for a table of columns of each kind, with values that are missing."""
    x = np.random.default_rng(0).normal(size=(40, 5))
    x[:, 1] = x[:, 1] > 0
    x[:, 2:4] = np.random.default_rng(1).poisson((3, 1), (40, 2))
    missing = np.random.default_rng(2).random(x.shape) < 0.2
    config = Config(**({"hidden": (8,), "epochs": 2, "batch_size": 16, "device": "cpu"} | settings))
    missing[:, 1:3] &= config.condition == "none"
    names = dict(zip(("column1", "column2", "column3", "column4", "column5"), KINDS))
    columns = names if config.pixels == "columns" else None
    data = Data.of(x, pixels=config.pixels, missing=missing, columns=columns, condition=config.condition)
    return build_for(config, data), config, data


def start(vae, config, data):
    """Begin a training on CUDA after the step that Pyro validates, as each of its checks waits for the device."""
    fitting = fit(vae, data, config.model_copy(update={"device": "cuda"}))
    fitting.svi.validate = False
    return fitting


def expect_steps_that_wait_for_nothing(vae, config, data):
    """Take an eager step, and trace the gradients of another as the graph that is compiled."""
    with fake_cuda(vae, data) as (cuda, vae, data):
        fitting, rows = start(vae, config, data), torch.arange(16, device=CUDA)
        assert fitting.training_step.feed.resident
        with training_mode(vae), cuda.busy():
            fitting.training_step.follow_schedules(0.5)
            loss = fitting.svi.step(rows)
            graph = trace_graph(fitting.svi.gradients, rows)
        assert loss.device == CUDA
        constants = [getattr(graph, node.target) for node in graph.graph.nodes if node.op == "get_attr"]
        assert {tensor.device for tensor in constants if tensor.numel()} == {CUDA}  # Pyro's plates make an empty one


@pytest.mark.parametrize("settings", GRID, ids=lambda settings: " ".join(map(str, settings.values())))
def test_a_step_mixes_no_devices_and_waits_for_nothing(settings):
    expect_steps_that_wait_for_nothing(*images(**settings))


@pytest.mark.filterwarnings("ignore:dataset. the (columns of data are read as|model is given columns of data)")
@pytest.mark.parametrize(
    "settings",
    [
        {"pixels": "columns", "likelihood": "columns"},
        {"pixels": "columns", "likelihood": "columns", "condition": "column2,column3", "prior": "conditional"},
        {"pixels": "standardized", "likelihood": "gaussian", "program": "not_at_random"},
    ],
    ids=["columns", "conditions", "not_at_random"],
)
def test_a_step_on_a_table_with_missing_values_does_neither(settings):
    expect_steps_that_wait_for_nothing(*table(**settings))


def test_a_step_of_one_process_of_several_does_neither():
    vae, config, data = images(particles=2)
    with fake_processes(1, 2), fake_cuda(vae, data) as (cuda, vae, data):
        fitting = start(vae, config, data)
        with training_mode(vae), cuda.busy():
            for _ in range(2):  # the second has a state of Adam
                assert fitting.svi.step(torch.arange(15, device=CUDA)).device == CUDA
        assert fitting.training_step.total.n == 8  # of 15 rows


@pytest.mark.xfail(raises=Waits, strict=True, reason="Pyro inverts an autoregressive flow by a permutation it reads")
def test_a_step_that_inverts_a_flow_does_neither():
    """As the density of other images' codes does, which the priors `vamp` and `exemplar` add up."""
    expect_steps_that_wait_for_nothing(*images(posterior="flow", prior="vamp", components=5))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda x: x.sum().item(), Waits),
        (lambda x: bool((x > 0).all()), Waits),
        (lambda x: x.cpu(), Waits),
        (lambda x: torch.tensor(2.0, device=x.device), Waits),
        (lambda x: x * torch.tensor(2.0), Waits),
        (lambda x: x + torch.ones(3), RuntimeError),
        (lambda x: x[x > 0], DynamicOutputShapeException),
        (lambda x: x.nonzero(), DynamicOutputShapeException),
        (lambda x: x.numpy(), AssertionError),
    ],
)
def test_faults_are_seen(fault, error):
    """Otherwise the tests above would pass by seeing nothing."""
    with fake_cuda() as (cuda,):
        x = torch.ones(3, device=CUDA)
        assert x.is_cuda
        with cuda.busy(), pytest.raises(error):
            fault(x)


def test_a_training_is_scored_saved_and_resumed():
    """By way of a checkpoint whose tensors are on the CPU, as one that `torch.load` reads onto it."""
    vae, config, data = images(pixels="dynamic", condition="label")
    with fake_cuda(vae, data) as (cuda, vae, data):
        first = start(vae, config, data)
        (record, *_) = first
        assert record["epoch"] == 1
        state = tree_map(lambda x: x.cpu() if isinstance(x, torch.Tensor) else x, first.state_dict())
        rest = start(vae, config, data)
        with FakeCopyMode(cuda.mode):  # the optimizer copies what it loads
            rest.load_state_dict(state)
        states = [value for moments in rest.svi.optim.state.values() for value in moments.values()]
        assert {value.device for value in states} == {CUDA}
        rows = torch.arange(16, device=CUDA)
        with training_mode(vae), cuda.busy():
            assert rest.svi.step(rows).device == CUDA


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"prior": "vamp", "components": 5},
        {"condition": "label", "likelihood": "student_t"},
        {"program": "hierarchical", "latent_dim": (4, 2)},
        {"program": "discrete", "variables": 3},
        {"program": "mixture"},
    ],
)
def test_log_likelihoods_are_estimated(settings):
    vae, _, data = images(**settings)
    with fake_cuda(vae, data) as (cuda, vae, data):
        x, y = arguments(vae, data.batch(data.test, slice(0, 5)))
        with cuda.busy():
            assert log_weights(vae.model, vae.guide, 7, x, y).device == CUDA
            if vae.code is not None and settings.get("program") != "mixture":
                log_w, _ = annealed_log_weights(vae.model, vae.guide, 2, 2, x, y)
                assert log_w.device == CUDA
        (scores,) = log_likelihoods(vae, data, data.test[slice(0, 5)], samples=20)
        assert scores["log_likelihood"].device == CUDA


@pytest.mark.parametrize(
    "settings", [{}, {"condition": "label"}, {"condition": "quadrant1"}, {"program": "semi_supervised"}]
)
def test_images_are_drawn_and_figures_computed(settings, monkeypatch):
    monkeypatch.setattr(Label, "check", lambda self, y: y)  # that each label is one cannot be said of fake ones
    vae, _, data = images(**settings)
    with fake_cuda(vae, data) as (_, vae, data), pyro.validation_enabled(False):
        x, labels = data.batch(data.test, slice(0, 3))
        y = vae.given(x, labels)
        drawn = [vae.reconstruct(x, y), vae.generate(3, y, mean=False), vae.generate(3, y)]
        assert {image.device for image in drawn} == {CUDA}
        computed, unknown = set(), set()
        for name in FIGURES_OF_IMAGES:
            try:
                FIGURES[name](vae, data)
            except Unfit:
                continue
            except DynamicOutputShapeException:
                unknown.add(name)
            computed.add(name)
        assert {"samples", "reconstructions"} < computed
        assert unknown <= CHOOSING

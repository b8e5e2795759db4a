"""A model that cannot fit in memory is refused before it allocates any."""

import resource
import time

import pytest
import torch
from support.builders import small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae import Config, InputError, build
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.programs import memory

HUGE = {
    "hidden": ({"hidden": (10**6, 10**6)}, "--hidden"),
    "gated": ({"network": "gated", "hidden": (10**6, 10**6)}, "--hidden"),
    "one layer": ({"hidden": (10**9,)}, "--hidden"),
    "not countable": ({"hidden": (10**9, 10**9)}, "--hidden"),
    "codes": ({"latent_dim": 10**8}, "--latent-dim"),
    "codes of a conv": ({"latent_dim": 10**8, "network": "conv"}, "--latent-dim"),
    "codes of a resnet": ({"latent_dim": 10**8, "network": "resnet"}, "--latent-dim"),
    "mixture": ({"prior": "mixture", "components": 10**9}, "--components"),
    "vamp": ({"prior": "vamp", "components": 10**9}, "--components"),
    "exemplar": ({"prior": "exemplar", "components": 10**9}, "--components"),
    "full": ({"posterior": "full", "latent_dim": 10**5}, "--latent-dim"),
    "lowrank": ({"posterior": "lowrank", "latent_dim": 10**8}, "--latent-dim"),
    "bent posterior": ({"posterior": "flow", "latent_dim": 10**5}, "--latent-dim"),
    "bent prior": ({"prior": "flow", "latent_dim": 10**5}, "--latent-dim"),
    "coupled prior": ({"prior": "flow", "flow": "coupling", "latent_dim": 10**6}, "--latent-dim"),
    "prior of a label": ({"prior": "conditional", "condition": "label", "latent_dim": 10**9}, "--latent-dim"),
    "prior of an image": ({"condition": "quadrant1", "hidden": (10**7, 10**6)}, "--hidden"),
    "categories": ({"likelihood": "categorical", "pixels": "bytes", "hidden": (10**8,)}, "--hidden"),
}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_model_is_refused_at_once(name):
    settings, lower = HUGE[name]
    start, before = time.monotonic(), peak()
    with pytest.raises(InputError, match=rf"^model: expected .*, got .*; lower .*{lower}[^\n]*$"):
        build(Config(**settings, device="cpu"), (1, 28, 28), 10)
    assert peak() - before < 300_000
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("network", ["mlp", "gated"])
def test_huge_images_are_refused(network):
    before = peak()
    with pytest.raises(InputError, match=r"most of it the .*coder's; lower --hidden.* or --image-size"):
        build(Config(network=network, hidden=(1000, 1000), device="cpu"), (3, 4000, 4000))
    assert peak() - before < 300_000


def families():
    for family, members in (("prior", PRIORS), ("posterior", POSTERIORS), ("network", NETWORKS)):
        yield from ({family: name} for name in members)
    yield from ({"likelihood": name, "pixels": member.domain[0]} for name, member in LIKELIHOODS.items())
    yield {"prior": "flow", "flow": "coupling", "latent_dim": 4}


@pytest.mark.parametrize("settings", list(families()), ids=str)
@pytest.mark.parametrize("condition", ["label", "quadrant1"])
def test_every_listed_part_can_be_made_on_the_meta_device(settings, condition, monkeypatch):
    """The rehearsed model has the shapes and types of the real one, and none of its tensors are in memory."""
    seen = []
    monkeypatch.setattr(memory, "expect_room", lambda model, device: seen.append(model))
    small_vae(shape=(1, 12, 12), **({"condition": condition, "latent_dim": 3, "prior": "normal"} | settings))
    shapes, model, *_ = seen  # a second time without the settings that the parts do not read
    assert {tensor.device.type for tensor in shapes.parameters()} == {"meta"}
    for named_tensors in ("named_parameters", "named_buffers"):
        one, other = (
            {name: (tensor.shape, tensor.dtype) for name, tensor in getattr(vae, named_tensors)()}
            for vae in (shapes, model)
        )
        assert one == other


def test_the_rehearsal_does_not_change_the_weights(monkeypatch):
    one, _ = small_vae(prior="flow", latent_dim=3)
    monkeypatch.setattr(memory, "on_meta", lambda make: None)
    other, _ = small_vae(prior="flow", latent_dim=3)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_a_model_may_take_all_of_the_memory_and_no_more(monkeypatch):
    vae, config = small_vae(prior="exemplar", components=30)
    weights = sum(parameter.numel() for parameter in vae.parameters())
    need = 4 * 4 * weights + sum(buffer.nbytes for buffer in vae.buffers())
    monkeypatch.setattr(memory, "memory", lambda device: need)
    build(config, (1, 8, 8), 3)
    monkeypatch.setattr(memory, "memory", lambda device: need - 1)
    with pytest.raises(InputError, match=r"model: expected weights, .* of at most 0\.0 GB"):
        build(config, (1, 8, 8), 3)


def test_gradients_count_in_the_memory_of_the_gpu_alone(monkeypatch):
    vae, _ = small_vae()
    need = 16 * sum(parameter.numel() for parameter in vae.parameters()) + sum(
        buffer.nbytes for buffer in vae.buffers()
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for cpu, cuda, place in ((need / 4, need, None), (need / 4 - 1, need, "memory"), (need, need - 1, "CUDA memory")):
        monkeypatch.setattr(
            memory, "memory", lambda device, cpu=cpu, cuda=cuda: {"cpu": cpu, "cuda": cuda}[device.type]
        )
        if place is None:
            memory.expect_room(vae, "cuda:1")
        else:
            with pytest.raises(InputError, match=f"GB, the {place}, got"):
                memory.expect_room(vae, "auto")


OWN = """
import torch
from torch import nn
from pyrovae.parts.priors import Normal

MADE = torch.zeros(3)  # at import


class Own(Normal):
    def __init__(self, latent_dim, components):
        super().__init__(latent_dim)
        self.weights = nn.Parameter({size})
        print("made", MADE.device)
"""


@pytest.mark.parametrize("size", ["torch.empty(10**13)", "torch.ones(1).expand(10**13).clone()", "torch.ones(10**20)"])
def test_a_users_part_that_is_huge_is_refused(size, tmp_path):
    (tmp_path / "own.py").write_text(OWN.replace("{size}", size))
    with pytest.raises(InputError, match=r"^model: expected .*; lower "):
        build(Config(prior=f"{tmp_path / 'own.py'}:Own", device="cpu"), (1, 8, 8))


def test_a_users_part_is_made_once_and_in_memory(tmp_path, capsys):
    (tmp_path / "own.py").write_text(OWN.replace("{size}", "torch.ones(3)"))
    build(Config(prior=f"{tmp_path / 'own.py'}:Own", device="cpu"), (1, 8, 8))
    assert capsys.readouterr().out == "made cpu\n"


def test_errors_that_are_not_about_memory_are_raised_unchanged():
    with pytest.raises(RuntimeError, match="shapes cannot"), memory.allocation_refused():
        raise RuntimeError("shapes cannot be multiplied")

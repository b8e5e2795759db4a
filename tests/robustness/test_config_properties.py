"""Tries random configs: valid ones survive TOML and train, or two settings do not fit; invalid ones are refused.

`pytest tests/robustness/test_config_properties.py --hypothesis-profile thorough` tries fifteen times as many configs.
"""

import math
import tempfile
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from support.builders import small_data
from support.commands import pyrovae

from pyrovae import Config, InputError, build, fit
from pyrovae.config.values import CONDITIONS, IMAGES, LARGEST, MOST, SCALES, VECTORS
from pyrovae.data.sources import DATASETS
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.missingness import MISSINGNESS
from pyrovae.parts.networks import ACTIVATIONS, NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.programs import PROGRAMS
from pyrovae.training.objective import without_effect

FIELDS = Config.model_fields
FAMILIES = {
    "program": PROGRAMS,
    "network": NETWORKS,
    "activation": ACTIVATIONS,
    "likelihood": LIKELIHOODS,
    "prior": PRIORS,
    "posterior": POSTERIORS,
    "missingness": MISSINGNESS,
    "objective": OBJECTIVES,
}
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
OWN = {
    "dataset": st.sampled_from([*DATASETS]) | WORDS.map("folder:{}".format) | WORDS.map("npz:{}".format),
    "data_dir": st.none() | WORDS.map(Path),
    "hidden": st.lists(st.integers(1, MOST), min_size=1, max_size=4).map(tuple),
    "shape": st.sampled_from([(), (28, 28), (3, 32, 32), (1, MOST)]),
    "label_column": WORDS | st.just(""),
    "condition": st.sampled_from([*CONDITIONS, "a", "b,label,c d"]),
    "layer": WORDS | st.just(""),
    "columns": st.sampled_from([(), ("a=count",), ("b=real", "c d=poisson")]),
    "background": st.sampled_from(["white", "black", "#8899aa", "rgb(1,2,3)"]),
    "upper_hidden": st.lists(st.integers(1, MOST), max_size=4).map(tuple),
    "latent_dim": st.integers(1, MOST) | st.lists(st.integers(1, MOST), min_size=2, max_size=4).map(tuple),
    "scale": st.sampled_from(SCALES) | st.floats(1 / LARGEST, LARGEST),
    "device": st.sampled_from(["auto", "cpu", "cuda", "cuda:0", "cuda:15"]),
    **{name: st.sampled_from([*members]) | WORDS.map("my/own.py:{}".format) for name, members in FAMILIES.items()},
}


def limits(name):
    """Return the least and the largest valid value of a number."""
    limits = {
        kind: getattr(limit, kind)
        for limit in FIELDS[name].metadata
        for kind in ("ge", "gt", "le", "lt")
        if hasattr(limit, kind)
    }
    whole = "int" in str(FIELDS[name].annotation)
    least = limits.get("ge", 1 if whole else 5e-324)  # the least number greater than 0
    return least, limits.get("le", limits.get("lt", 0) - 1)


def values(name):
    """Draw any valid value of a setting."""
    annotation = str(FIELDS[name].annotation)
    if name in OWN:
        return OWN[name]
    if "Literal" in annotation:
        return st.sampled_from(get_args(FIELDS[name].annotation))
    low, high = limits(name)
    if "int" in annotation:
        return st.integers(low, high) | (st.none() if "None" in annotation else st.nothing())
    return st.floats(low, high)


def agreeing(settings):
    """Leave out the settings that need another one which is missing."""
    if not settings.get("validation"):
        settings.pop("patience", None)
    if not 0 < settings.get("warmup", 0) <= settings.get("cycle", 0):
        settings.pop("cycle", None)
    if settings.get("pixels") not in VECTORS and settings.get("condition", "none") not in CONDITIONS:
        del settings["condition"]
    if settings.get("condition", "none") == "none" and settings.get("prior") == "conditional":
        del settings["prior"]
    if settings.get("pixels") != "columns" and settings.get("condition", "none") in CONDITIONS:
        settings.pop("columns", None)
    if settings.get("pixels") != "counts":
        settings.pop("library_size", None)
    return settings


def reject_unless(expected):
    assert expected
    reject()


SETTINGS = st.fixed_dictionaries({}, optional={name: values(name) for name in FIELDS}).map(agreeing)


@given(SETTINGS, st.sampled_from([*FIELDS]).flatmap(lambda name: st.tuples(st.just(name), values(name))))
def test_any_config_survives_toml_and_being_replaced(settings, other):
    config, (name, value) = Config(**settings), other
    assert all(getattr(config, name) == value for name, value in settings.items())
    assert Config.from_toml(config.to_toml()) == config
    assert config.replace() == config
    try:
        changed = config.replace(**{name: value})
    except InputError as refusal:
        beside = "beside it, got" in str(refusal) or "beside pixels = " in str(refusal)
        reject_unless(beside or "expects a condition" in str(refusal))
    assert getattr(changed, name) == value
    assert changed.replace(**{name: value}) == changed
    assert Config.from_toml(changed.to_toml()) == changed


# --- a step ---

FEW = {
    "latent_dim": st.integers(1, 4),
    "hidden": st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    "components": st.integers(1, 30),
    "particles": st.integers(1, 3),
    "scale": st.sampled_from(SCALES) | st.floats(0.01, 100),
    "batch_size": st.integers(1, 30),
    "epochs": st.integers(1, 3),
    "warmup": st.integers(0, 3),
    "cycle": st.integers(0, 3),
    "seed": values("seed"),
    **{name: st.floats(0, 10) for name in ("alpha", "mmd_weight", "beta", "free_bits")},
    "lr": st.floats(5e-324, 0.01),
    "precision": st.sampled_from(["fp32", "bf16", "bf16", "tf32"]),
    # What the program vae reads: the others have grids of their own, in tests/programs/
    **{name: st.sampled_from([*FAMILIES[name]]) for name in FAMILIES if name not in ("program", "missingness")},
    **{name: values(name) for name in ("pixels", "flow", "schedule")},
    "condition": st.sampled_from(CONDITIONS),
}


@st.composite
def trainable(draw):
    """Draw a small config, mostly with pixels that fit its likelihood."""
    settings = agreeing(draw(st.fixed_dictionaries({}, optional=FEW)))
    if draw(st.integers(0, 9)):
        likelihood = LIKELIHOODS[settings.get("likelihood", "bernoulli")]
        settings["pixels"] = draw(st.sampled_from([*likelihood.domain, *getattr(likelihood, "relaxed", ())]))
    return Config(**settings, device="cpu", compile="no")


def unfit(config):
    """Map what each refusal of two settings says to whether this config has those settings."""
    likelihood = LIKELIHOODS[config.likelihood]
    learned = config.prior in ("mixture", "vamp", "exemplar", "flow", "conditional")
    weighing = getattr(OBJECTIVES[config.objective], "weighs_particles", False)
    scaled, delta = config.likelihood in ("laplace", "student_t"), config.posterior == "delta"
    return {
        "pixels: likelihood": config.pixels not in (*likelihood.domain, *getattr(likelihood, "relaxed", ())),
        "pixels: expected one of": config.pixels not in IMAGES,
        "scale: 'optimal' fits": scaled and config.scale == "optimal",
        "prior flow: expected two": config.prior == "flow" and config.latent_dim < 2,
        "posterior flow: expected two": config.posterior == "flow" and config.latent_dim < 2,
        "prior: expected one that is not learned": learned and delta,
        "particles: objective": weighing and config.particles < 2,
        "(warmup|cycle): expected at most": max(config.warmup, config.cycle) > config.epochs,
        "objective: expected elbo or mmd": delta and config.objective not in ("elbo", "mmd"),
        "precision: expected": config.precision == "tf32",
    }


def with_effect(config, shape):
    """Leave out the settings that nothing reads; a config of which no model can be built stays as it is."""
    try:
        return config.without(without_effect(build(config, shape, 3), config))
    except InputError:
        return config


def trained(config, shape):
    """Train for one epoch on a few random images and return its record."""
    data = small_data(n=20, shape=shape, pixels=config.pixels)
    return next(iter(fit(build(config, shape, len(data.classes)), data, config)))


@given(trainable(), st.sampled_from([(1, 8, 8), (3, 9, 8)]))
def test_any_config_trains_or_is_refused_for_a_pair_that_does_not_fit(config, shape):
    config = with_effect(config, shape)
    refusals = [message for message, holds in unfit(config).items() if holds]
    if refusals:
        with pytest.raises(InputError, match="|".join(refusals)) as refusal:
            trained(config, shape)
        assert "\n" not in str(refusal.value)
    else:
        record = trained(config, shape)
        assert all(math.isfinite(score) for part in ("train", "test") for score in record[part].values())


# --- what is not valid ---

NO_NUMBER = st.sampled_from(["", "word", "1e", "0x10", "nan", "inf", True, None, [1], {}, math.nan, math.inf, b"\xff"])


@st.composite
def invalid(draw):
    """Draw a setting and an invalid value of it."""
    name = draw(st.sampled_from([*FIELDS]))
    annotation = str(FIELDS[name].annotation)
    if name == "background":
        wrong = st.sampled_from(["nice", "", "#12", "#gggggg", 3, None, [1], True])
    elif name in ("hidden", "latent_dim", "upper_hidden", "shape"):
        wrong = st.sampled_from(["5,x", "0", "5,0", "1.5", [0], [True], 0, None, [1.5], 10**10, {}])
        if name not in ("upper_hidden", "shape"):  # which may be empty
            wrong |= st.sampled_from(["", ",", []])
    elif name == "columns":
        wrong = st.sampled_from(
            ["a", "a=", "=count", "a=count,b", "a=count,a=real", "none.toml", 3, None, [3], True, {"a": 3}]
        )
    elif name == "device":
        wrong = WORDS.filter(lambda word: word not in ("auto", "cpu", "cuda")) | st.sampled_from(
            ["cuda:", "cuda:-1", 3]
        )
    elif name == "scale":
        wrong = st.floats(max_value=0) | st.sampled_from(["", "word", math.nan, math.inf, 1e300, None, [1], True])
    elif "Literal" in annotation:
        wrong = WORDS.filter(lambda word: word not in get_args(FIELDS[name].annotation)) | st.sampled_from(
            [3, None, []]
        )
    elif "int" in annotation or "float" in annotation:
        low, high = limits(name)
        low = 0 if name == "lr" else low
        step = 1 if "int" in annotation else int(high)  # 1 more than 1e30 is 1e30
        out = st.integers(max_value=low - 1) | st.integers(min_value=int(high) + step)
        halves = st.floats(0.1, 0.9).map(lambda part: low + part) if "int" in annotation else st.nothing()
        wrong = out | halves | NO_NUMBER.filter(lambda value: name != "image_size" or value is not None)
    else:
        wrong = st.sampled_from([3, 1.5, True, [], {}, "a\0b", "a\nb", "\ud800"])
    return name, draw(wrong)


@given(invalid())
@example(("lr", 0))
@example(("seed", 2**32))
def test_an_invalid_setting_is_refused_in_one_line(case):
    name, value = case
    with pytest.raises(InputError) as refusal:
        Config(**{name: value})
    message = str(refusal.value)
    assert message.startswith(f"{name}: ")
    assert "expected" in message
    assert ", got " in message
    assert len(message.splitlines()) == 1


def as_flag(case):
    """Check that a shell can pass the value on, and that it is invalid as a text, too."""
    name, value = case
    texts = ("dataset", "data_dir", "label_column", "layer", "background", *FAMILIES)
    return isinstance(value, str if name in texts else str | int | float) and "\0" not in str(value)


@given(invalid().filter(as_flag))
def test_an_invalid_flag_exits_with_2_and_leaves_the_disk_as_it_was(case):
    name, value = case
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert pyrovae(["train", f"--{name.replace('_', '-')}={value}"]) == 2
        assert not list(Path(folder).iterdir())

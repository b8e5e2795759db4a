"""A file must have the required keys of its `TypedDict`, each with a value of the annotated type."""

import json
import re

import pytest

from pyrovae import InputError, __version__
from pyrovae.runs.checks import check_version, expect, read_version
from pyrovae.runs.schema import About, Evaluation, Latents, Summary
from pyrovae.training.record import Record

SCORES = {"loss": 3.5, "reconstruction": 2, "kl": 1.5}
RECORD = {"epoch": 1, "seconds": 0.5, "train": SCORES, "test": SCORES}
CONTENTS = {
    Record: RECORD,
    Summary: {
        "protocol": "grey",
        "density": False,
        "loss": "negative ELBO",
        "images": {"train": 4, "test": 2},
        "final": RECORD,
        "best": RECORD,
    },
    Evaluation: {"log_likelihood": -40, "standard_error": None, "samples": 5, "images": 4},
    About: {"shape": [1, 8, 8], "classes": [], "pixels": {"protocol": "grey", "mean": 0, "std": 1.0}},
    Latents: {},
}
KEYS = [(kind, name) for kind, content in CONTENTS.items() for name in content]


@pytest.mark.parametrize("kind", CONTENTS)
def test_the_required_keys_are_enough(kind):
    assert expect(CONTENTS[kind], kind, "file") is CONTENTS[kind]


@pytest.mark.parametrize(("kind", "name"), KEYS)
def test_a_missing_key_is_named(kind, name):
    content = {other: value for other, value in CONTENTS[kind].items() if other != name}
    with pytest.raises(ValueError, match=f"file without {name}"):
        expect(content, kind, "file")


WRONG = [
    *((Record, "epoch", value) for value in (True, 1.0, "1", None)),
    *((Record, "seconds", value) for value in (True, "0.5", None)),
    *((Record, "test", value) for value in ([], 3, SCORES | {"kl": "many"}, {"loss": 3.5})),
    *((Summary, "density", value) for value in (0, "yes", None)),
    *((Summary, "best", value) for value in ({}, None, RECORD | {"train": {}})),
    *((Summary, "images", value) for value in ([4, 2], {"train": 4}, {"train": 4, "test": 2.0})),
    *((Evaluation, "standard_error", value) for value in (False, "small")),
    *((Evaluation, "samples", value) for value in (5.0, None)),
    *((About, "shape", value) for value in ("188", None, {})),
    *((About, "pixels", value) for value in ([], {"protocol": "grey"})),
]


@pytest.mark.parametrize(("kind", "name", "value"), WRONG)
def test_a_value_of_another_type_is_named(kind, name, value):
    with pytest.raises(ValueError, match=f"{name} of file"):
        expect(CONTENTS[kind] | {name: value}, kind, "file")


def test_optional_keys_may_be_missing_and_unknown_ones_may_be_anything():
    content = RECORD | {"active_units": 3, "unknown": None}
    assert expect(content, Record, "line 1") is content


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("active_units", "many", "active_units of line 1 is 'many'"),
        ("validation", 3, "validation of line 1 is 3"),
        ("validation", {"loss": 1.0, "kl": 0.0}, "validation of line 1 without reconstruction"),
        ("skipped", True, "skipped of line 1 is True"),
    ],
)
def test_optional_keys_are_checked_where_they_are(name, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        expect(RECORD | {name: value}, Record, "line 1")


def test_the_items_of_lists_and_dicts_are_checked():
    assert expect({"kl_per_dimension": [1, 2.5]}, Latents, "latents")
    with pytest.raises(ValueError, match="item 2 of kl_per_dimension of latents is 'x'"):
        expect({"kl_per_dimension": [1.0, "x"]}, Latents, "latents")
    with pytest.raises(ValueError, match="torch of versions of summary is 2"):
        expect(CONTENTS[Summary] | {"versions": {"pyrovae": "0.1.0", "torch": 2}}, Summary, "summary")


@pytest.mark.parametrize("content", [3, None, [], "text", True])
def test_other_json_than_an_object_is_refused(content):
    with pytest.raises(ValueError, match=r"^latents is "):
        expect(content, Latents, "latents")


def test_only_runs_of_this_minor_version_are_read(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"versions": {"pyrovae": "7.0.1"}}), encoding="utf-8")
    assert read_version(path) == "7.0.1"
    check_version(__version__, tmp_path)
    for version in ("7.0.1", ["0.1.0"], 3, None):
        with pytest.raises(InputError, match=r"expected a run of pyrovae 0\.1, got one of"):
            check_version(version, tmp_path)

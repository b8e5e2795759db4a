import re
from pathlib import Path

import pytest
from support.runs import trained

from pyrovae import InputError, Run
from pyrovae.runs.reading import read


def test_missing_weights_of_published_results_name_the_preset_that_makes_them(tmp_path):
    for name, hint in {
        "digits": "leave the weights out: pyrovae train --preset digits makes them",
        "x": "out)",
    }.items():
        with pytest.raises(InputError, match=re.escape(hint)):
            read(tmp_path / name, "model.safetensors", Path.read_text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", b"{junk}\n{junk}\n"),
        ("summary.json", b"{"),
        ("progress.safetensors", b"junk"),
        ("config.toml", b'dataset = "\xe9"'),
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}      "),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    trained(tmp_path)
    (tmp_path / name).write_bytes(content)
    attribute = {"model.safetensors": "vae", "config.toml": "config"}.get(name, name.split(".")[0])
    with pytest.raises(InputError, match=f"expected a sound {name} in"):
        getattr(Run(tmp_path), attribute)

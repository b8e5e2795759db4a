"""`pyrovae explore` writes one file that loads nothing and treats everything in a run folder as text."""

import base64
import hashlib
import json
import re
import shutil

import pytest
from support.commands import pyrovae
from torch import nn

from pyrovae import InputError
from pyrovae.pages.explorer import explore
from pyrovae.runs.run import Run


def contents_in(page):
    return json.loads(re.search(r'id="contents">(.*?)</script>', page, re.DOTALL)[1])


def test_a_run_becomes_one_file_that_loads_nothing(world, capsys):
    assert pyrovae("explore run") == 0
    page = (world / "run/explore.html").read_text(encoding="utf-8")
    assert re.fullmatch(r"run/explore.html: 0\.\d MB\n", capsys.readouterr().out)
    assert not re.search(r"https?://|\b(?:src|href)=|@import|url\(", page)
    for name in ("script", "style"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page
    assert contents_in(page)["latent"]["order"] in ([0, 1], [1, 0])


def test_names_in_a_run_are_escaped(world):
    wild = '</script><script>alert("x")</script>{{title}}'
    shutil.copytree("label", "<b>run&")
    run = Run("<b>run&", dataset="npz:labelled.npz")
    run.__dict__["_about"] = run._about | {"classes": [wild, "b", "c"]}
    page = explore(run)
    assert page.count("<script") == 3
    assert "<title>&lt;b&gt;run&amp; – latent space" in page
    assert contents_in(page)["classes"][0] == wild


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("explore nowhere", "run: expected a run folder"),
        ("explore bare", "expected model.safetensors"),
        ("explore run --out page.png", "out: expected a file that ends in .html"),
        ("explore run --out folder/page.html", "out: expected a folder at"),
        ("explore run --out taken.html", "already exists; expected --force"),
    ],
)
def test_bad_calls_are_refused_in_one_line(line, reason, world, capsys):
    (world / "taken.html").touch()
    assert pyrovae(line) == 2
    message = capsys.readouterr().err
    assert reason in message
    assert message.count("\n") == 1


def test_out_names_the_file_and_a_new_training_deletes_the_old_page(world):
    (world / "taken.html").touch()
    assert pyrovae("explore unfinished --out taken.html --force") == 0
    assert (world / "taken.html").stat().st_size > 10_000
    (world / "run/explore.html").touch()
    assert pyrovae("train --out run --epochs 1 --force --hidden 16 --device cpu --no-figures") == 0
    assert not (world / "run/explore.html").exists()


def test_codes_that_are_not_finite_are_refused(world):
    run = Run("run")
    nn.init.constant_(run.vae.posterior.head.bias, float("nan"))
    with pytest.raises(InputError, match="expected a model that encodes test images, got: "):
        explore(run)


def test_a_page_that_is_too_large_is_refused(world):
    with pytest.raises(InputError, match=r"expected a page of at most 0 MB, got one of 0 MB"):
        explore(Run("run"), most=1000)

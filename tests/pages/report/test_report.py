"""The report's page: it loads nothing, it treats a run folder's files as text, and the commands that write it."""

import contextlib
import functools
import json
import operator
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import small_data, small_vae
from support.commands import TINY, pyrovae
from support.report import EVALUATION, ParsedPage, words

from pyrovae import Config, InputError, Run, fit
from pyrovae.commands.worker import work
from pyrovae.pages.report import page, save


def test_the_page_loads_nothing_from_elsewhere(runs):
    parsed = ParsedPage(page([Run(runs / name) for name in ("one", "two")]))
    assert parsed.all("img", "src")
    assert all(source.startswith("data:image/png;base64,") for source in parsed.all("img", "src"))
    assert not {"script", "link", "iframe", "object", "embed", "a", "base", "form"} & {tag for tag, _ in parsed.tags}
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on") or name == "href"]
    assert (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        in parsed.all("meta", "content")
    )


EVIL = "</style><script>alert(1)</script><img src=x onerror='alert(2)'>\"{{ 7 * 7 }}"


def test_whatever_the_files_contain_is_shown_as_text(runs):
    path = (runs / "one").rename(runs / "<b>one<script>")
    run = Run(path)
    config = run.config.replace(dataset=f"npz:{EVIL}").to_toml()
    (path / "config.toml").write_text(config)
    extra = dict.fromkeys(("note", "weights", "device", "git", "precision", "loss", "protocol"), EVIL)
    more = {
        "versions": {"pyrovae": "0.1.0", "torch": EVIL},
        "deterministic": {EVIL: True},
        "changed": [{EVIL: [EVIL, 1]}],
        "sha256": {},
    }
    (path / "summary.json").write_text(json.dumps(run.summary | extra | more))
    run.save_evaluation(EVALUATION | {"protocol": EVIL, "weights": EVIL})
    for opened in ([Run(path)], [Run(path), Run(runs / "two")]):
        text = page(opened)
        parsed = ParsedPage(text)
        assert "alert(1)" in parsed.text
        assert "{{ 7 * 7 }}" in parsed.text
        assert "script" not in {tag for tag, _ in parsed.tags}
        assert "onerror='" not in text
        assert all(source.startswith("data:") for source in parsed.all("img", "src"))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(content, above=()):
    """The path to every value in JSON content."""
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*above, name)
        if isinstance(value, dict | list):
            yield from places(value, (*above, name))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_json_becomes_a_page_or_is_refused(runs, data):
    other, path = Run(runs / "two"), runs / "one"
    records = other.metrics
    records[-1] |= {"skipped": 1, "active_units": 2, "validation": records[-1]["train"] | {"objective": 2.0}}
    summary = other.summary | {"changed": [{"epoch": 1, "lr": [1, 2]}], "bits_per_dimension": 3.0}
    summary["sha256"] = {}  # with digests, other records would all be refused
    annealed = dict.fromkeys(("log_likelihood", "difference", "standard_error"), 1.0)
    annealed |= dict.fromkeys(("images", "chains", "steps"), 1)
    files = {"records": records, "summary": summary, "evaluation": EVALUATION | {"annealed": annealed}}
    files = json.loads(json.dumps(files))
    for place in data.draw(st.lists(st.sampled_from(list(places(files))[3:]), min_size=1, max_size=3)):
        with contextlib.suppress(TypeError, KeyError, IndexError):  # its parent was replaced
            parent = functools.reduce(operator.getitem, place[:-1], files)
            parent[place[-1]] = data.draw(JUNK)
    for name in ("summary", "evaluation"):
        (path / f"{name}.json").write_text(json.dumps(files[name]))
    (path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in files["records"]))
    with contextlib.suppress(InputError):
        ParsedPage(page([Run(path)]))
        ParsedPage(page([Run(path), other]))


# --- several runs, and when the page is written ---


def test_runs_in_folders_of_the_same_name_are_named_by_their_paths(runs):
    shutil.copytree(runs / "one", runs / "more/one")
    text = words(page([Run(runs / "one"), Run(runs / "more/one")]))
    assert str(runs / "one") in text
    assert str(runs / "more/one") in text


def test_the_same_run_gives_the_same_page(runs):
    shutil.copytree(runs / "one", runs / "elsewhere/one")
    assert page([Run(runs / "one")]) == page([Run(runs / "elsewhere/one")])


def test_train_writes_the_page_and_resume_does_if_it_is_missing(here, capsys):
    assert pyrovae(f"train --out run --epochs 2 {TINY}") == 0
    assert "report in run/report.html" in capsys.readouterr().out
    written = (here / "run/report.html").read_bytes()
    (here / "run/report.html").unlink()
    assert pyrovae("train --resume --out run") == 0
    assert (here / "run/report.html").read_bytes() == written


def test_resuming_a_run_deletes_its_page(runs):
    run = Run(runs / "one")
    save(run)
    vae, config = small_vae(epochs=4)
    run.resume(fit(vae, small_data(), config), config)
    assert not (run.path / "report.html").exists()


def test_evaluate_rewrites_a_page_that_exists(world):
    assert pyrovae("report run") == 0
    assert "log p(x) was not estimated" in (world / "run/report.html").read_text(encoding="utf-8")
    assert pyrovae("evaluate run --samples 7 --device cpu") == 0
    assert "K = 7" in (world / "run/report.html").read_text(encoding="utf-8")
    assert pyrovae("evaluate label --samples 7 --device cpu") == 0
    assert "K = 7" in (world / "label/report.html").read_text(encoding="utf-8")  # made before, and rewritten
    (world / "label/report.html").unlink()
    assert pyrovae("evaluate label --samples 8 --device cpu") == 0
    assert not (world / "label/report.html").exists()


def test_the_command_writes_to_out_and_overwrites_only_with_force(world, capsys):
    assert pyrovae("report run") == pyrovae("report run --out a.html") == 0
    assert pyrovae("report run quadrant1") == 0
    assert capsys.readouterr().out.split() == ["run/report.html", "a.html", "report.html"]
    assert (world / "a.html").read_bytes() == (world / "run/report.html").read_bytes()
    before = (world / "report.html").read_bytes()
    assert pyrovae("report run label") == pyrovae("report run --out a.html") == 2
    assert (world / "report.html").read_bytes() == before
    assert pyrovae("report run label --force") == 0
    assert (world / "report.html").read_bytes() != before


@pytest.mark.filterwarnings("ignore:epoch .* the posterior collapses")  # one epoch is few
def test_the_runs_of_a_sweep_with_figures_have_a_page(tmp_path):
    for seed in (0, 1):
        run = Run.create(tmp_path / f"seed={seed}", Config(epochs=1, hidden=(8,), device="cpu", seed=seed))
        where = {"device": "cpu", "data_dir": None}
        work([str(run.path)], [{}], where, samples=None, figures=seed == 0)
    assert (tmp_path / "seed=0/report.html").exists()
    assert not (tmp_path / "seed=1/report.html").exists()


def test_the_report_of_a_sweep_shows_its_runs(runs):
    (runs / "sweep.json").write_text("{}")
    assert pyrovae(f"report {runs} --out {runs}/sweep.html") == 0
    assert "3 runs side by side" in (runs / "sweep.html").read_text(encoding="utf-8")

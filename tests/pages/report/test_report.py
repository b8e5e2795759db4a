"""The page about a run: it says what the run's files say, holds all it shows, and lets nothing in."""

import base64
import contextlib
import functools
import json
import operator
import re
import shlex
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import small_data, small_vae
from support.commands import TINY, metrics, pyrovae

from pyrovae import Config, InputError, Run, fit
from pyrovae.commands.worker import work
from pyrovae.figures import draw
from pyrovae.pages.report import page, save
from pyrovae.pages.report.curves import Scale, panel, ticks
from pyrovae.pages.report.pictures import png

VOID = {"meta", "img", "br"}
EVALUATION = {
    "log_likelihood": -40.5,
    "standard_error": 0.25,
    "elbo": -42.0,
    "samples": 5000,
    "images": 40,
    "effective_samples": 58.4,
    "pareto_k": 0.81,
    "unreliable_share": 0.69,
    "latents": {"images": 40, "active_units": 1, "mutual_information": 2.5, "kl_per_dimension": [0.5, 2.0]},
    "protocol": "grey",
    "density": False,
    "seed": 0,
}


def make(path, **settings):
    """A finished run with some figures."""
    vae, config = small_vae(**settings)
    data = small_data(pixels=config.pixels)
    fitting, run = fit(vae, data, config), Run.create(path, config)
    for record in fitting:
        run.record(record, fitting)
    run.finish(fitting)
    run.data = data
    for name, figure in draw(run, ["losses", "reconstructions", "samples"]):
        run.save_figure(name, figure)
    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    make(root / "one", epochs=3)
    make(root / "two", epochs=3, latent_dim=3)
    make(root / "label", condition="label")
    return root


@pytest.fixture
def runs(made, tmp_path):
    """The folder of the runs `one`, `two` and `label`."""
    return shutil.copytree(made, tmp_path / "runs")


class Checked(HTMLParser):
    """Raises for what is not closed; keeps the tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag, name):
        return [attributes.get(name, "") for kind, attributes in self.tags if kind == tag]


def words(text):
    return " ".join(Checked(text).text.split())


# --- what it says ---


def test_it_says_the_numbers_of_the_run(runs):
    run = Run(runs / "one")
    run.save_evaluation(EVALUATION)
    text, best = words(page([run])), run.summary["best"]["test"]
    for value in (f"{best['loss']:.2f}", f"{best['reconstruction']:.2f}", f"{best['kl']:.2f}", "−40.50 ± 0.25"):
        assert value in text
    assert "ELBO of the same samples −42.00 gap between the two: what the guide misses 1.50" in text
    assert "effective samples of K, median over the images 58 Pareto k̂ of the weights' tail, median 0.81" in text
    assert "69.0% above 0.70" in text
    assert "For 69% of the images" in text
    assert "active units dimensions whose mean varies, by more than 0.01 1 of 2" in text
    assert "bernoulli on grey pixels is a relaxed score, not a density." in text
    assert f"{run.summary['parameters']:,}" in text
    assert run.summary["versions"]["torch"] in text


def test_it_says_what_is_not_as_by_default_first(runs):
    text = words(page([Run(runs / "one")]))
    changed, rest = text.split("settings as by default")
    assert "hidden units of the mlp's hidden layers, as 512,256 16 128,128" in changed
    assert "latent_dim" not in changed
    assert "latent_dim dimensions of the code z 2 2" in rest


def test_what_was_changed_on_the_way_is_told(runs):
    run = Run(runs / "one")
    changed = {"changed": [{"epoch": 2, "lr": [0.001, 0.01]}]}
    (run.path / "summary.json").write_text(json.dumps(run.summary | changed))
    assert "Settings were changed on the way: epoch 2, lr 0.001 → 0.01." in words(page([run]))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"unreliable_share": None, "pareto_k": None}, "too few samples to tell"),
        ({"images": 30}, "the first 30 of 40 test images"),
        (
            {"annealed": {"difference": 1.5, "standard_error": 0.1}},
            "importance-sampled number is 1.50 below",
        ),
        (
            {"annealed": {"difference": -1.5, "standard_error": 0.1}},
            "annealed number is 1.50 below the other",
        ),
        ({"standard_error": None}, "−40.50"),
    ],
)
def test_what_makes_an_estimate_doubtful_is_told(found, told, runs):
    run = Run(runs / "one")
    run.save_evaluation(EVALUATION | found)
    assert told in words(page([run]))


def test_a_plain_autoencoder_has_no_kl_to_show(tmp_path):
    run = make(tmp_path / "run", posterior="delta")
    text = page([run])
    assert "there is no KL term" in words(text)
    assert text.count("<polyline") == 2  # the reconstruction of both sets


def test_the_command_it_tells_repeats_the_run(here):
    assert pyrovae(f"train --out first --epochs 2 {TINY}") == 0
    command = re.search(r"<pre>pyrovae (.*)\n</pre>", (here / "first/report.html").read_text())[1]
    assert pyrovae(f"{command} --out again") == 0
    assert metrics("first") == metrics("again")


def test_the_command_repeats_a_class_of_ones_own(runs):
    run = Run(runs / "one")
    text = run.config.to_toml().replace('"bernoulli"', '"my file.py:Soft"')
    (run.path / "config.toml").write_text(text)
    told = re.search("<pre>(.*)\n</pre>", page([Run(run.path)]))[1].replace("&#39;", "'")
    assert shlex.split(told)[-2:] == ["--likelihood", "my file.py:Soft"]


# --- several ---


def test_runs_of_one_kind_are_ranked(runs):
    opened = sorted((Run(runs / name) for name in ("one", "two")), key=lambda run: -run.summary["best"]["test"]["loss"])
    text = page(opened)
    best = opened[1]
    assert re.findall(r'<li><i class="c\d"></i> <b>(\w+)</b>', text) == [best.path.name, opened[0].path.name]
    assert f'<td class="best">{best.summary["best"]["test"]["loss"]:.2f}</td>' in text
    assert text.count("<polyline") == 6
    different = text.split("What differs between the runs")[1].split("<h3>")[0]
    assert re.findall(r'<th scope="row">(\w+)', different) == ["latent_dim"]


def test_runs_of_two_kinds_are_not_ranked(runs):
    text = page([Run(runs / name) for name in ("one", "label")])
    assert "Not ranked: numbers of different protocols do not compare: condition none (one), label" in words(text)
    assert 'class="best"' not in text


def test_estimates_of_several_numbers_of_samples_are_not_ranked(runs):
    opened = [Run(runs / name) for name in ("one", "two")]
    for run, samples in zip(opened, (100, 5000)):
        run.save_evaluation(EVALUATION | {"samples": samples})
    text = page(opened)
    assert "log p(x) is not to be compared: K " in words(text)
    assert text.count('class="best"') == 1  # the loss


def test_runs_of_one_name_are_told_apart_by_their_paths(runs):
    shutil.copytree(runs / "one", runs / "more/one")
    text = words(page([Run(runs / "one"), Run(runs / "more/one")]))
    assert str(runs / "one") in text
    assert str(runs / "more/one") in text


# --- what it lets in ---


def test_it_asks_for_nothing_from_elsewhere(runs):
    found = Checked(page([Run(runs / name) for name in ("one", "two")]))
    assert found.all("img", "src")
    assert all(source.startswith("data:image/png;base64,") for source in found.all("img", "src"))
    assert not {"script", "link", "iframe", "object", "embed", "a", "base", "form"} & {tag for tag, _ in found.tags}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on") or name == "href"]
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in found.all("meta", "content")


EVIL = "</style><script>alert(1)</script><img src=x onerror='alert(2)'>\"{{ 7 * 7 }}"


def test_whatever_the_files_say_is_only_text(runs):
    path = (runs / "one").rename(runs / "<b>one<script>")
    run = Run(path)
    config = run.config.replace(dataset=f"npz:{EVIL}").to_toml()
    (path / "config.toml").write_text(config)
    extra = dict.fromkeys(("note", "weights", "device", "git", "precision", "loss", "protocol"), EVIL)
    more = {
        "versions": {"pyrovae": "0.1.0", "torch": EVIL},
        "deterministic": {EVIL: True},
        "changed": [{EVIL: [EVIL, 1]}, EVIL],
    }
    (path / "summary.json").write_text(json.dumps(run.summary | extra | more))
    run.save_evaluation(EVALUATION | {"protocol": EVIL, "density": EVIL, "seed": EVIL, "annealed": {"images": EVIL}})
    for opened in ([Run(path)], [Run(path), Run(runs / "two")]):
        text = page(opened)
        found = Checked(text)
        assert "alert(1)" in found.text
        assert "{{ 7 * 7 }}" in found.text
        assert "script" not in {tag for tag, _ in found.tags}
        assert "onerror='" not in text
        assert all(source.startswith("data:") for source in found.all("img", "src"))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(content, above=()):
    """Where something is, in JSON."""
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
    annealed = dict.fromkeys(("log_likelihood", "difference", "standard_error", "images", "chains", "steps"), 1.0)
    files = {"records": records, "summary": summary, "evaluation": EVALUATION | {"annealed": annealed}}
    files = json.loads(json.dumps(files))
    for place in data.draw(st.lists(st.sampled_from(list(places(files))[3:]), min_size=1, max_size=3)):
        with contextlib.suppress(TypeError, KeyError, IndexError):  # what held it was replaced
            held = functools.reduce(operator.getitem, place[:-1], files)
            held[place[-1]] = data.draw(JUNK)
    for name in ("summary", "evaluation"):
        (path / f"{name}.json").write_text(json.dumps(files[name]))
    (path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in files["records"]))
    with contextlib.suppress(InputError):
        Checked(page([Run(path)]))
        Checked(page([Run(path), other]))


# --- figures ---


def test_its_pictures_are_the_files_of_the_run(runs):
    sources = Checked(page([Run(runs / "one")])).all("img", "src")
    files = [(runs / f"one/figures/{name}.png").read_bytes() for name in ("reconstructions", "samples")]
    assert [base64.b64decode(source.partition(",")[2]) for source in sources] == files


def test_the_losses_are_drawn_from_the_records(runs):
    (runs / "one/figures/losses.png").unlink()
    assert page([Run(runs / "one")]).count("<polyline") == 6  # three panels of two sets


@pytest.mark.parametrize(
    "content",
    [b"", b"<script>", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(60), b"GIF89a" + bytes(60)],
)
def test_what_is_no_png_is_left_out(content, runs):
    (runs / "one/figures/samples.png").write_bytes(content)
    text = page([Run(runs / "one")])
    assert "figures/samples.png is left out: it is no PNG file" in text
    assert len(Checked(text).all("img", "src")) == 1


def test_a_figure_that_is_too_large_or_no_file_is_left_out(runs, monkeypatch):
    (runs / "one/figures/samples.png").unlink()
    (runs / "one/figures/samples.png").mkdir()
    monkeypatch.setattr("pyrovae.pages.report.pictures.MOST", 100)
    text = page([Run(runs / "one")])
    assert "figures/samples.png is left out: it is no file" in text
    assert "figures/reconstructions.png is left out: it has more than 100 bytes" in text


def test_a_picture_of_no_size_is_left_out(runs):
    path = runs / "one/figures/samples.png"
    content = path.read_bytes()
    path.write_bytes(content[:16] + bytes(4) + content[20:])
    with pytest.raises(ValueError, match="0 × "):
        png(path)


def test_a_link_to_somewhere_else_is_not_followed(runs, tmp_path):
    secret = tmp_path / "secret.png"
    shutil.copy(runs / "two/figures/samples.png", secret)
    (runs / "one/figures/samples.png").unlink()
    (runs / "one/figures/samples.png").symlink_to(secret)
    text = page([Run(runs / "one")])
    assert "figures/samples.png is left out: it is a link to somewhere else" in text
    assert base64.b64encode(secret.read_bytes()).decode() not in text


# --- curves ---


def points(text):
    found = re.findall('points="(.*?)"', text)
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in found]


def test_a_curve_lies_where_its_values_do():
    (curve,) = points(panel([[(1, 10.0), (2, 30.0), (3, 20.0)]]))
    (x0, y0), (x1, y1), (x2, y2) = curve
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.15)
    assert y0 > y2 > y1  # a picture's y goes down
    assert y2 == pytest.approx((y0 + y1) / 2, abs=0.1)


def test_the_steep_fall_of_the_first_epochs_leaves_the_picture():
    curve = [(float(x), 1000.0 if x == 1 else 10.0 - x / 10) for x in range(1, 51)]
    (zoomed,), (whole,) = points(panel([curve], zoomed=True)), points(panel([curve]))
    assert zoomed[0][1] < 0 < zoomed[1][1]
    assert max(y for _, y in zoomed[1:]) - min(y for _, y in zoomed[2:]) > 100
    assert max(y for _, y in whole[1:]) - min(y for _, y in whole[1:]) < 2


def test_one_epoch_is_a_dot():
    assert "<circle" in panel([[(1.0, 5.0)]])


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_evenly_spaced(low, width):
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 7
    steps = [b - a for a, b in pairwise(found)]
    assert all(step == pytest.approx(steps[0], rel=1e-3) for step in steps)
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in found)


def test_a_scale_maps_its_ends():
    assert [Scale(1, 3, 10, 0)(value) for value in (1, 2, 3)] == [10, 5, 0]


# --- when it is written ---


def test_the_same_run_makes_the_same_page(runs):
    shutil.copytree(runs / "one", runs / "elsewhere/one")
    assert page([Run(runs / "one")]) == page([Run(runs / "elsewhere/one")])


def test_train_writes_it_and_resume_does_where_it_is_missing(here, capsys):
    assert pyrovae(f"train --out run --epochs 2 {TINY}") == 0
    assert "report in run/report.html" in capsys.readouterr().out
    written = (here / "run/report.html").read_bytes()
    (here / "run/report.html").unlink()
    assert pyrovae("train --resume --out run") == 0
    assert (here / "run/report.html").read_bytes() == written


def test_a_run_that_goes_on_has_none_until_it_ends(runs):
    run = Run(runs / "one")
    save(run)
    vae, config = small_vae(epochs=4)
    run.resume(fit(vae, small_data(), config), config)
    assert not (run.path / "report.html").exists()


def test_evaluate_rewrites_it_where_it_is(world):
    assert pyrovae("report run") == 0
    assert "log p(x) was not estimated" in (world / "run/report.html").read_text()
    assert pyrovae("evaluate run --samples 7 --device cpu") == 0
    assert "K = 7" in (world / "run/report.html").read_text()
    assert pyrovae("evaluate label --samples 7 --device cpu") == 0
    assert (world / "label/report.html").exists()  # made by the training, and rewritten
    (world / "label/report.html").unlink()
    assert pyrovae("evaluate label --samples 8 --device cpu") == 0
    assert not (world / "label/report.html").exists()


def test_the_command_writes_where_it_is_told(world, capsys):
    assert pyrovae("report run") == pyrovae("report run --out a.html") == 0
    assert pyrovae("report run quadrant1") == 0
    assert capsys.readouterr().out.split() == ["run/report.html", "a.html", "report.html"]
    assert (world / "a.html").read_bytes() == (world / "run/report.html").read_bytes()
    before = (world / "report.html").read_bytes()
    assert pyrovae("report run label") == pyrovae("report run --out a.html") == 2
    assert (world / "report.html").read_bytes() == before
    assert pyrovae("report run label --force") == 0
    assert (world / "report.html").read_bytes() != before


@pytest.mark.filterwarnings("ignore:epoch .* the posterior collapses")  # after one epoch
def test_every_run_of_a_sweep_has_one(tmp_path):
    for seed in (0, 1):
        run = Run.create(tmp_path / f"seed={seed}", Config(epochs=1, hidden=(8,), device="cpu", seed=seed))
        where = {"device": "cpu", "data_dir": None}
        work([str(run.path)], [{}], where, samples=None, figures=seed == 0)
    assert (tmp_path / "seed=0/report.html").exists()
    assert not (tmp_path / "seed=1/report.html").exists()


def test_a_sweep_is_its_runs(runs):
    (runs / "sweep.json").write_text("{}")
    assert pyrovae(f"report {runs} --out {runs}/sweep.html") == 0
    assert "3 runs side by side" in (runs / "sweep.html").read_text()

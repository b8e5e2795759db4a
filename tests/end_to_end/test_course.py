"""Runs every lesson of the course, compares it with its notebook, and tries right and wrong answers to exercises."""

import importlib.util
import json
import re

import matplotlib.pyplot as plt
import pytest
import torch
from support.builders import ROOT

COURSE = ROOT / "results" / "course"


def load(name):
    spec = importlib.util.spec_from_file_location(name, COURSE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


notebooks = load("notebooks")
LESSONS = {lesson.stem[0]: lesson for lesson in notebooks.lessons()}

# Wrong answers that a student may give, each with a word of the hint that the check should print.
WRONG = {
    "1.1": [
        ("def cross_entropy(x, pi): return -(x * pi.log() + (1 - x) * (1 - pi).log()).flatten(1).mean(1)", "their sum"),
        ("def cross_entropy(x, pi): return (x * pi.log() + (1 - x) * (1 - pi).log()).flatten(1).sum(1)", "sign"),
        ("def cross_entropy(x, pi): return -(x * pi.log()).flatten(1).sum(1)", "paper"),
        ("def cross_entropy(x, pi): return -(x * pi.log() + (1 - x) * (1 - pi).log()).sum()", "shape"),
        ("def cross_entropy(x, pi): return (x - pi).square().flatten(1).sum(1)", "expected"),
    ],
    "1.2": [
        ("def kl(m, s): return 0.5 * (m**2 + s**2 - 1 - s.log()).sum(1)", "2 log σ"),
        ("def kl(m, s): return 0.5 * (m**2 + s - 1 - s.log()).sum(1)", "`scale` is σ"),
        ("def kl(m, s): return -0.5 * (m**2 + s**2 - 1 - 2 * s.log()).sum(1)", "never negative"),
        ("def kl(m, s): return 0.5 * (m**2 + s**2 - 1 - 2 * s.log())", "shape"),
        ("def kl(m, s): return (m**2 + s**2 - 1 - 2 * s.log()).sum(1)", "expected"),
    ],
    "1.3": [
        ("def path(v, a, b, n): return v.reconstruct(a).lerp(v.reconstruct(b), LINE(n)[:, :, None, None])", "blends"),
        (
            "def path(v, a, b, n): return v.decode(v.encode(a).sample().lerp(v.encode(b).sample(), LINE(n)))",
            "ends",
        ),
        (
            "def path(v, a, b, n): return v.decode(v.encode(a).mean.lerp(v.encode(b).mean, LINE(n) ** 2))",
            "evenly",
        ),
        ("def path(v, a, b, n): return v.reconstruct(a)", "shape"),
    ],
    "1.4": [
        ("def mixture(m, s): return m.mean(0), s.square().mean(0)", "different places"),
        ("def mixture(m, s): return m.mean(0), m.var(0)", "width"),
        ("def mixture(m, s): return m.sum(0), s.square().mean(0) + m.var(0)", "mean: expected"),
        ("def mixture(m, s): return m.mean(0), s.mean(0) + m.std(0)", "variance: expected"),
        ("def mixture(m, s): return m.mean(0)", "a pair"),
    ],
    "2.1": [
        ("def importance_weighted(w): return w.mean(0)", "ELBO"),
        ("def importance_weighted(w): return torch.logsumexp(w, 0)", "1/K"),
        ("def importance_weighted(w): return w.exp().mean(0).log()", "become 0"),
        ("def importance_weighted(w): return torch.logsumexp(w, 1)", "shape"),
        ("def importance_weighted(w): return w.max(0).values", "expected"),
    ],
    "2.2": [
        (
            "def laplace_model(x=None, n=1):\n"
            " with pyro.plate('images', n if x is None else len(x)):\n"
            "  z = pyro.sample('z', dist.Laplace(torch.zeros(2), 1.0).to_event(1))\n"
            "  return pyro.sample('x', dist.Normal(decoder(z), 1.0).to_event(1), obs=x)",
            "Bernoulli",
        ),
        ("def laplace_model(x=None, n=1): return model(x, n)", "Laplace"),
        ("def laplace_model(x=None, n=1):\n z = pyro.sample('z', dist.Laplace(torch.zeros(2), 1.0))\n return z", "'x'"),
        (
            "def laplace_model(x=None, n=1):\n"
            " with pyro.plate('images', n if x is None else len(x)):\n"
            "  z = pyro.sample('z', dist.Laplace(torch.zeros(2), 1.0).to_event(1))\n"
            "  return pyro.sample('x', dist.Bernoulli(logits=decoder(z)).to_event(1))",
            "obs=x",
        ),
        (
            "def laplace_model(x=None, n=1):\n"
            " z = pyro.sample('z', dist.Laplace(torch.zeros(3, 2), 1.0).to_event(2))\n"
            " return pyro.sample('x', dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)",
            "plate",
        ),
    ],
    "2.3": [
        ("def laplace_draw(m, b, u): return m + b * u", "expected"),
        ("def laplace_draw(m, b, u): return (m - b * u.sign() * (1 - 2 * u.abs()).log()).detach()", "no gradient"),
        ("def laplace_draw(m, b, u): return m - b.detach() * u.sign() * (1 - 2 * u.abs()).log()", "scale"),
    ],
    "2.4": [
        ("def grid_posterior(j, a): return torch.softmax(j, 0)", "by area"),
        ("def grid_posterior(j, a): return torch.softmax(j, 1) / a", "points of the grid"),
        ("def grid_posterior(j, a): return j.exp() / (j.exp().sum(0) * a)", "becomes 0"),
        ("def grid_posterior(j, a): return j.exp()", "integral"),
    ],
    "3.1": [
        ("def draw_label(vae, label, n): return vae.generate(y=torch.arange(n))", "sevens"),
        (
            "def draw_label(vae, label, n): return vae.generate(y=torch.tensor([label])).expand(n, -1, -1, -1)",
            "are the same",
        ),
        ("def draw_label(vae, label, n): return vae.generate(y=torch.tensor([label]))", "shape"),
    ],
    "3.2": [
        ("def same_hand(vae, x, y, other): return vae.decode(vae.encode(x, y).mean, y)", "reconstructions"),
        ("def same_hand(vae, x, y, other): return vae.decode(vae.encode(x, other).mean, other)", "labels that"),
        ("def same_hand(vae, x, y, other): return vae.decode(vae.encode(x, y).sample(), other)", "the mean of"),
    ],
    "3.3": [
        ("def bayes(s, p): return torch.softmax(s, 1)", "not used"),
        ("def bayes(s, p): return torch.softmax(s + p, 1)", "logarithms add"),
        ("def bayes(s, p): return torch.log_softmax(s + p.log(), 1)", "log probabilities"),
        ("def bayes(s, p): return s.exp() * p", "add up to 1 over"),
        ("def bayes(s, p): return torch.softmax(2 * s, 1)", "their sum"),
        ("def bayes(s, p): return s.exp() * p / (s.exp() * p).sum(1, keepdim=True)", "becomes 0"),
    ],
    "3.4": [
        ("def bits_per_unseen_pixel(l, s): return (l * ~s).flatten(1).sum(1) / (~s).sum()", "nats"),
        ("def bits_per_unseen_pixel(l, s): return (l * ~s).flatten(1).sum(1) / 48 * math.log(2)", "divide"),
        ("def bits_per_unseen_pixel(l, s): return (l * ~s).flatten(1).mean(1) / math.log(2)", "48 of the 64"),
        ("def bits_per_unseen_pixel(l, s): return (l * s).flatten(1).sum(1) / 16 / math.log(2)", "seen pixels"),
        ("def bits_per_unseen_pixel(l, s): return l.flatten(1).sum(1) / 64 / math.log(2)", "expected"),
    ],
    "4.1": [
        ("def bits_per_dimension(nats, shape): return nats / math.prod(shape)", "nats per dimension"),
        ("def bits_per_dimension(nats, shape): return nats / math.log(2)", "per image"),
        ("def bits_per_dimension(nats, shape): return nats / math.log(2) / shape[1] / shape[2]", "colours"),
        ("def bits_per_dimension(nats, shape): return nats * math.log(2) / math.prod(shape)", "divide"),
        ("def bits_per_dimension(nats, shape): return nats", "expected"),
        ("def bits_per_dimension(nats, shape): return 'few'", "a number"),
    ],
    "4.2": [
        ("def in_bytes(nats, shape): return nats - math.prod(shape) * math.log(255)", "other way"),
        ("def in_bytes(nats, shape): return nats + math.log(255)", "every one"),
        ("def in_bytes(nats, shape): return nats", "depends"),
        ("def in_bytes(nats, shape): return 255 * nats", "expected"),
    ],
    "4.3": [
        ("def paired(a, b): return (a - b).mean(), (a - b).std()", "root of n"),
        ("def paired(a, b): return (a - b).mean(), ((a.var() + b.var()) / len(a)).sqrt()", "the spread of a − b"),
        ("def paired(a, b): return (b - a).mean(), (a - b).std() / len(a) ** 0.5", "mean: expected"),
        ("def paired(a, b): return (a - b).mean(), (a - b).var() / len(a)", "standard error: expected"),
        ("def paired(a, b): return (a - b).mean()", "a pair"),
    ],
    "4.4": [
        ("def active_units(means): return (means.std(0) > 0.01).sum()", "standard deviation"),
        ("def active_units(means): return (means.mean(0).abs() > 0.01).sum()", "how much it varies"),
        ("def active_units(means): return means.shape[1]", "expected 3"),
        ("def active_units(means): return means.nothing", "AttributeError"),
    ],
    "5.1": [
        ("def unlabelled_bound(b, l): return (torch.softmax(l, 1) * b).sum(1)", "entropy"),
        ("def unlabelled_bound(b, l): return (torch.softmax(l, 1) * (b + torch.log_softmax(l, 1))).sum(1)", "sign"),
        ("def unlabelled_bound(b, l): return (b - torch.log_softmax(l, 1)).mean(1)", "weights"),
        ("def unlabelled_bound(b, l): return (l.exp() * (b - l)).sum(1)", "not normalised"),
        ("def unlabelled_bound(b, l): return torch.logsumexp(b, 1)", "expected"),
        ("def unlabelled_bound(b, l): return torch.softmax(l, 1) * b", "shape"),
    ],
    "5.2": [
        ("def best_classifier(b): return torch.nn.functional.one_hot(b.argmax(1), 10)", "gives up the entropy"),
        ("def best_classifier(b): return torch.log_softmax(b, 1)", "log probabilities"),
        ("def best_classifier(b): return torch.softmax(b, 0)", "add up to 1 over"),
        ("def best_classifier(b): return torch.full_like(b, 0.1)", "a better one"),
        ("def best_classifier(b): return b.exp() / b.exp().sum(1, keepdim=True)", "becomes 0"),
    ],
    "5.3": [
        (
            "def objective(b, q, y, a): return b.gather(1, y.clamp(min=0)[:, None])[:, 0].where(y >= 0, "
            "(q.exp() * (b - q)).sum(1))",
            "learns nothing",
        ),
        ("def objective(b, q, y, a): return (b + a * q)[torch.arange(len(y)), y]", "−1 is no label"),
        ("def objective(b, q, y, a): return (q.exp() * b).sum(1)", "without a label"),
        (
            "def objective(b, q, y, a): return (b - a * q).gather(1, y.clamp(min=0)[:, None])[:, 0].where(y >= 0, "
            "(q.exp() * (b - q)).sum(1))",
            "has a plus",
        ),
        (
            "def objective(b, q, y, a): return (q.exp() * (b - q)).sum(1) + (y >= 0) * a * q.gather(1, "
            "y.clamp(min=0)[:, None])[:, 0]",
            "its bound alone",
        ),
        ("def objective(b, q, y, a): return (q.exp() * (b - q)).sum(1)", "with a label"),
    ],
    "5.4": [
        (
            "def ten_digits(v, x):\n"
            " y = v.classify(x).argmax(1)\n"
            " return v.decode(v.encode(x, y).mean.repeat_interleave(10, 0), y.repeat_interleave(10))"
            ".unflatten(0, (len(x), 10))",
            "reconstructions",
        ),
        (
            "def ten_digits(v, x):\n"
            " z = v.encode(x, v.classify(x).argmax(1)).mean\n"
            " return v.decode(z.repeat_interleave(10, 0), torch.arange(10).repeat_interleave(len(x)))"
            ".unflatten(0, (len(x), 10))",
            "order",
        ),
        (
            "def ten_digits(v, x):\n"
            " x, y = x.repeat_interleave(10, 0), torch.arange(10).repeat(len(x))\n"
            " return v.decode(v.encode(x, y).mean, y).unflatten(0, (-1, 10))",
            "inferred label alone",
        ),
        (
            "def ten_digits(v, x):\n"
            " z = v.encode(x, v.classify(x).argmax(1)).sample()\n"
            " return v.decode(z.repeat_interleave(10, 0), torch.arange(10).repeat(len(x))).unflatten(0, (len(x), 10))",
            "the mean of",
        ),
        ("def ten_digits(v, x): return v.generate(y=torch.arange(10))", "shape"),
    ],
    "6.1": [
        (
            "def gaussian_kl(m, s, n, t): return ((s / t).log() + (t**2 + (m - n) ** 2) / (2 * s**2) - 0.5).sum(1)",
            "other direction",
        ),
        ("def gaussian_kl(m, s, n, t): return (-s.log() + (s**2 + m**2) / 2 - 0.5).sum(1)", "of its own"),
        (
            "def gaussian_kl(m, s, n, t): return ((t / s).log() + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5).mean(1)",
            "their sum",
        ),
        ("def gaussian_kl(m, s, n, t): return (t / s).log().sum(1)", "expected"),
        ("def gaussian_kl(m, s, n, t): return (t / s).log()", "shape"),
    ],
    "6.2": [
        ("def with_free_bits(kl, free): return kl.clamp(min=free).mean(0).sum()", "average over the images first"),
        ("def with_free_bits(kl, free): return (kl.mean(0) - free).clamp(min=0).sum()", "the larger of"),
        ("def with_free_bits(kl, free): return kl.mean(0).clamp(max=free).sum()", "a lower one"),
        ("def with_free_bits(kl, free): return kl.mean(0).sum().clamp(min=free)", "of its own"),
        ("def with_free_bits(kl, free): return kl.mean(0).sum() + free", "expected"),
    ],
    "6.3": [
        ("def product(m, s, n, t): return (m * s**2 + n * t**2) / (s**2 + t**2), s", "narrower one to count more"),
        ("def product(m, s, n, t): return (m + n) / 2, (s**-2 + t**-2) ** -0.5", "mean: expected"),
        ("def product(m, s, n, t): return (m * t**2 + n * s**2) / (s**2 + t**2), s**-2 + t**-2", "the precision"),
        ("def product(m, s, n, t): return (m * t**2 + n * s**2) / (s**2 + t**2), 1 / (s**-2 + t**-2)", "its root"),
        ("def product(m, s, n, t): return (m * t**2 + n * s**2) / (s**2 + t**2), s", "scale: expected"),
        ("def product(m, s, n, t): return m", "a pair"),
    ],
    "6.4": [
        ("def share_from_above(m, s): return m.var(0) / s.square().mean(0)", "both parts"),
        ("def share_from_above(m, s): return s.square().mean(0) / (m.var(0) + s.square().mean(0))", "leaves open"),
        ("def share_from_above(m, s): return m.std(0) / (m.std(0) + s.mean(0))", "variances add up"),
        ("def share_from_above(m, s): return m.var(0) / (m.var(0) + s.mean(0))", "a standard deviation"),
        ("def share_from_above(m, s): return m.var(0)", "expected"),
        ("def share_from_above(m, s): return m.var()", "shape"),
    ],
}


def text_of(number):
    return LESSONS[number].read_text(encoding="utf-8")


def run(lesson):
    """Run all code of a lesson, with its exercises unanswered, and return the names that it defines."""
    names = {}
    for kind, text in notebooks.cells(lesson):
        if kind == "code":
            exec(compile(text, lesson.name, "exec"), names)
            plt.close("all")
    return names


def reply(names, code, exercise, capsys):
    """Return what the check of an exercise prints for an answer."""
    (line,) = re.findall(rf'^check\("{exercise}", .*\)$', text_of(exercise[0]), re.MULTILINE)
    capsys.readouterr()
    exec(f"{code}\n{line}", names | {"LINE": lambda n: torch.linspace(0, 1, n)[:, None]})
    return capsys.readouterr().out


def solution(exercise):
    """Return the solution of an exercise, which the lesson folds away below it."""
    lesson = "\n\n".join(text for kind, text in notebooks.cells(LESSONS[exercise[0]]) if kind == "markdown")
    part = lesson.split(f"### Exercise {exercise}:")[1]
    (code,) = re.findall(r"```python\n(.*?)```", part.split("</details>")[0], re.DOTALL)
    return code


def claims_of_lesson_1(names):
    family = {beta: scores for beta, (_, scores) in names["family"].items()}
    assert family[0.01]["kl"] > family[0.1]["kl"] > family[1.0]["kl"] > 1
    assert family[2.0]["kl"] == pytest.approx(0, abs=0.05)
    assert names["autoencoder_counts"].min() < 10
    assert names["vae_counts"].min() > 10
    assert 0.5 < family[1.0]["reconstruction"] - family[0.01]["reconstruction"] < 2.5
    error = {name: (names[name] - names["x_test"]).square().mean() for name in ("lines", "networks")}
    assert error["networks"] < 0.7 * error["lines"]


def claims_of_lesson_2(names):
    assert names["by_hand"].item() == pytest.approx(names["by_pyro"], rel=1e-5)
    assert names["by_hand"].item() == pytest.approx(names["by_pyrovae"].item(), rel=1e-5)
    assert names["exact_kl"].item() == pytest.approx(names["analytic"].item(), rel=1e-5)
    assert (names["log_p"] - names["bound"]).mean().item() == pytest.approx(names["gap"].mean().item(), abs=0.01)
    assert names["bound_k"].mean().item() == pytest.approx(names["log_p"].mean().item(), abs=0.02)
    assert names["score"].std() > 10 * names["reparameterised"].std()


def claims_of_lesson_3(names):
    assert names["given_scores"]["loss"] < names["plain_scores"]["loss"] - 2.3
    assert names["given_scores"]["kl"] < names["plain_scores"]["kl"]
    assert (names["guess"] == names["labels"]).double().mean() > 0.9
    baseline = names["baseline_loss"](names["x_test"]).mean().item()
    assert -names["log_p"](names["completer"]).mean().item() < baseline - 1
    assert names["collapsed_scores"]["kl"] == pytest.approx(0, abs=0.05)
    assert -names["log_p"](names["collapsed"]).mean().item() == pytest.approx(baseline, abs=1)


def claims_of_lesson_4(names):
    patients = {cure.split(":")[0]: record for cure, (_, _, record) in names["patients"].items()}
    assert patients["none"]["active_units"] == 0
    assert patients["free bits"]["active_units"] == 8
    for cure in ("warm-up", "free bits", "beta"):
        assert patients[cure]["test"]["loss"] < patients["none"]["test"]["loss"] - 0.5
    assert names["difference"] == pytest.approx(62.6, abs=6)
    assert 0 < names["gain"].std() < 0.7 * names["score"]["normal"].std()


def claims_of_lesson_5(names):
    n = len(names["x_test"])
    assert (names["labels_train"] >= 0).sum() == 100
    assert names["by_hand"].mean().item() == pytest.approx(names["by_pyro"] / n, rel=1e-5)
    assert names["by_hand"].mean().item() == pytest.approx(names["by_pyrovae"].item() / n, rel=1e-5)
    for worth in (names["before"], names["after"]):
        assert worth["draw"] > 500
        assert 5 < worth["baseline"] < 60
    accuracy = {weight: records[-1]["accuracy"] for weight, (_, _, records) in names["runs"].items()}
    loss = {weight: records[-1]["test"]["loss"] for weight, (_, _, records) in names["runs"].items()}
    assert accuracy[0.0] < 0.75 < max(names["alone"]) < accuracy[50.0]
    assert loss[50.0] < loss[0.0] - 0.2
    assert names["gain"].mean() > 0.01
    y = torch.arange(10).repeat_interleave(20)
    drawn = names["vae"].generate(y=y).flatten(1)
    nearest = names["labels"][torch.cdist(drawn, names["x_test"].flatten(1)).argmin(1)]
    assert (nearest == y).double().mean() > 0.75


def claims_of_lesson_6(names):
    assert names["by_hand"].item() == pytest.approx(names["by_pyro"], rel=1e-5)
    last = {remedy: records[-1] for remedy, (_, records) in names["patients"].items()}
    kl = {remedy: record["test"]["sites"]["z2"] for remedy, record in last.items()}
    active = {remedy: record["active_units_by_site"]["z2"] for remedy, record in last.items()}
    assert kl["none"] == pytest.approx(0, abs=0.05)
    assert active["none"] == 0
    assert max(kl["warm-up"], kl["ladder, warm-up"]) < 0.7
    for remedy in ("free bits", "free bits, warm-up", "ladder, free bits, warm-up"):
        assert kl[remedy] > 0.7
        assert active[remedy] == 4
    assert kl["top-down, skip, warm-up"] > 0.2
    assert active["top-down, skip, warm-up"] >= 2
    assert max(record["test"]["sites"]["z2"] for record in names["records"]) < 0.2
    loss = {remedy: record["test"]["loss"] for remedy, record in last.items()}
    assert loss["none"] < names["one_records"][-1]["test"]["loss"] + 0.1
    assert loss["free bits, warm-up"] < loss["ladder, free bits, warm-up"] < loss["ladder, warm-up"]
    assert 0.1 < names["to_gain"] < names["gain_awake"] < 2
    assert names["signal"](names["untrained"]).mean() < 0.05
    assert names["signal"](names["bottom_up"]).mean() > 0.3
    assert names["holds"]["none"]["share"] < 0.02
    assert names["holds"]["none"]["label"] > 0.15
    assert names["holds"]["free bits, warm-up"]["share"] > 0.15
    assert names["holds"]["free bits, warm-up"]["label"] > 0.5
    assert names["holds"]["ladder, warm-up"]["share"] > 0.1
    gain = {remedy: (score - names["score"]["none"]).mean() for remedy, score in names["score"].items()}
    assert gain["one code"] < 0.1
    assert gain["warm-up"] > max(0.05, gain["top-down, skip, warm-up"] - 0.1)
    assert gain["free bits, warm-up"] > gain["warm-up"]
    assert gain["ladder, warm-up"] < 0
    assert names["gains"].mean() > 0.03


CLAIMS = {
    "1": claims_of_lesson_1,
    "2": claims_of_lesson_2,
    "3": claims_of_lesson_3,
    "4": claims_of_lesson_4,
    "5": claims_of_lesson_5,
    "6": claims_of_lesson_6,
}


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_runs_makes_true_claims_and_checks_answers_rightly(number, monkeypatch, capsys):
    """All of this is one test, so that each lesson runs only once."""
    monkeypatch.syspath_prepend(COURSE)
    monkeypatch.setattr(plt, "show", lambda: None)
    names = run(LESSONS[number])
    printed = capsys.readouterr().out
    CLAIMS[number](names)
    for exercise in (name for name in WRONG if name[0] == number):
        assert f"{exercise}: no answer yet" in printed
        assert reply(names, solution(exercise), exercise, capsys) == f"{exercise}: right\n"
        for code, hint in WRONG[exercise]:
            answer = reply(names, code, exercise, capsys)
            assert answer.startswith(f"{exercise}: not yet: "), code
            assert hint in answer, code


@pytest.mark.parametrize("number", LESSONS)
def test_a_notebook_has_the_cells_of_its_lesson_and_their_outputs(number):
    book = json.loads(LESSONS[number].with_suffix(".ipynb").read_text(encoding="utf-8"))
    written = [(cell["cell_type"], "".join(cell["source"])) for cell in book["cells"]]
    lesson = [(kind, notebooks.with_magics(text)) for kind, text in notebooks.cells(LESSONS[number])]
    assert written == lesson, "expected what `python results/course/notebooks.py` writes"
    outputs = [output for cell in book["cells"] for output in cell.get("outputs", ())]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert max(map(len, pictures)) < 80_000
    assert "Figure size" not in json.dumps(book["cells"])
    assert not re.search(r"/(root|home|work|tmp)/", json.dumps([cell.get("outputs") for cell in book["cells"]]))


def test_every_exercise_has_wrong_answers_and_the_index_names_every_lesson():
    exercises = [name for number in LESSONS for name in re.findall(r"### Exercise (\d\.\d):", text_of(number))]
    assert exercises == [*WRONG] == [*load("checks").CHECKS]
    index = (COURSE / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d-[\w-]+)\.ipynb\)", index) == [lesson.stem for lesson in LESSONS.values()]

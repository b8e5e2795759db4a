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


CLAIMS = {"1": claims_of_lesson_1, "2": claims_of_lesson_2, "3": claims_of_lesson_3, "4": claims_of_lesson_4}


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

"""Names from outside in figures: of classes, runs and combinations of settings, with any characters."""

import dataclasses
import warnings

import matplotlib
import pytest
from matplotlib.font_manager import FontProperties, findfont
from support.builders import small_vae
from support.drawn import drawable_run
from support.explanations import explanation_of

from pyrovae import figures
from pyrovae.explain.plates import plate_figure, typeset
from pyrovae.figures import names
from pyrovae.figures.curves import comparison
from pyrovae.figures.names import key, labels, plain
from pyrovae.figures.style import as_picture, as_png
from pyrovae.figures.tradeoff import rate_distortion, sweep_figure

MATHEMATICS = [
    r"$\foo$",
    "a_b$",
    "$$",
    "^{",
    "\\",
    r"\$",
    r"$\$",
    r"\frac{$a$}",
    "_hidden",
    "%",
    "{}",
    "a\nb",
    "\x1b[31m",
]
NO_FONT = ["猫", "犬", "鳥", "cat 猫", "बिल्ली", "ไก่", "🦆", "\u202eabc", "\udce9", " ", "#3"]  # DejaVu lacks them
IN_DEJAVU = ["Ω", "café", "cafe\u0301 noir", "Ёж", "😀"]


@pytest.fixture(autouse=True)
def only_matplotlibs_fonts(monkeypatch):
    """Use the same fonts on every machine."""
    names._elsewhere.cache_clear()
    monkeypatch.setattr(names, "_other_fonts", lambda: [])
    yield
    names._elsewhere.cache_clear()


def rows(labelled):
    score = {"mean": 2.0, "sd": 0.5, "values": [1.5, 2.5]}
    return {name: {"settings": {"x": name}, "kl": score, "reconstruction": score, "loss": score} for name in labelled}


def shown(figure):
    """The labels in the legends and beside the rows of a figure, which is drawn first: a warning fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_png(figure)
    legends = [text for each in figure.legends for text in each.get_texts()]
    return [text.get_text() for text in legends] or [text.get_text() for text in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("given", [MATHEMATICS, NO_FONT, IN_DEJAVU], ids=["mathematics", "no font", "DejaVu"])
@pytest.mark.parametrize("kind", ["latent", "conditions", "comparison", "sweep", "tradeoff", "many"])
def test_any_names_are_drawn_and_told_apart(kind, given):
    run = drawable_run(condition="label") if kind in ("latent", "conditions", "comparison") else None
    if kind in ("latent", "conditions"):
        run.data = dataclasses.replace(run.data, classes=tuple(given))
        if kind == "conditions":
            run.vae, _ = small_vae(classes=len(given), condition="label")
        figure = getattr(figures, kind)(run.vae, run.data)
    elif kind == "comparison":
        figure = comparison(dict.fromkeys(given, run.metrics))
    else:
        several = [*given, *map(str, range(20))] if kind == "many" else given
        figure = sweep_figure(rows(several), ["x"]) if kind == "sweep" else rate_distortion(rows(several))
    if kind == "tradeoff":
        as_png(figure)
        drawn = [text.get_text() for text in figure.axes[0].texts if not text.get_text().replace(".", "").isdigit()]
        assert len({*drawn}) == len(given)
    else:
        drawn = shown(figure)
        assert len({*drawn}) == len(drawn) == len(given) + 20 * (kind == "many")


def test_names_that_a_font_has_are_shown():
    assert labels(IN_DEJAVU) == ["Ω", "café", "café noir", "Ёж", "😀"]
    assert not key(IN_DEJAVU)


def test_arabic_is_shown_only_where_its_letters_are_joined(monkeypatch):
    monkeypatch.setattr(names, "JOINS", True)
    assert labels(["قطة", "חתול"]) == ["قطة", "חתול"]
    monkeypatch.setattr(names, "JOINS", False)
    assert labels(["قطة", "חתול", "cat"]) == ["#0", "#1", "cat"]


def test_names_without_a_font_are_numbers_with_a_key():
    assert labels(["猫", "ant", "犬", "#2"]) == ["#0", "ant", "#2", "#3"]
    assert key(["猫", "ant", "犬", "#2"]) == {"#0": "猫", "#2": "犬", "#3": "#2"}


def test_names_that_look_the_same_when_shortened_are_numbers():
    assert labels(["a" * 30 + end for end in "12"] + ["b" * 30, "a  b", "a b", "e\u0301", "é"]) == [
        "#0", "#1", "b" * 19 + "…", "#3", "#4", "#5", "#6",
    ]  # fmt: skip


def test_a_font_of_the_system_is_used_for_what_the_first_one_lacks(monkeypatch):
    """The part of the system's font is played by one that comes with matplotlib, and has script letters."""
    letter = "\U0001d4d0"
    assert letter not in names._standard("normal", *FontProperties().get_family())
    monkeypatch.setattr(names, "_other_fonts", lambda: [("none", "no file"), ("STIXGeneral", findfont("STIXGeneral"))])
    names._elsewhere.cache_clear()
    assert labels([letter, "猫"]) == [letter, "#1"]
    assert names.families([letter, "a"]) == [*matplotlib.rcParams["font.family"], "STIXGeneral"]
    assert shown(sweep_figure(rows([letter, "猫"]), ["x"])) == [letter, "#1"]


def test_fonts_of_boxes_are_not_among_those_of_the_system(monkeypatch):
    monkeypatch.undo()
    assert names._other_fonts()[0][0] == "DejaVu Sans"
    assert not any(family.startswith(("Last", "cm", "STIX")) for family, _ in names._other_fonts())


@pytest.mark.parametrize("title", [*MATHEMATICS, *NO_FONT, *IN_DEJAVU])
def test_a_slide_has_any_title(title):
    figure = plate_figure(explanation_of(trained=False), title)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_picture(figure, "png")
    assert figure.axes[0].texts[0].get_text() == plain(title, 60, "bold")


@pytest.mark.parametrize("formula", [r"\^2 } \^3", "x^a__b y^2", "x^(a__b)", r"\E_q } E_q", "猫^2", "$x^2", "x^__"])
def test_a_formula_of_a_user_is_drawn(formula):
    explanation = explanation_of(trained=False)
    first = explanation.formulas[0]._replace(right=formula, where=(r"$\foo$ 猫",))
    explanation = dataclasses.replace(explanation, formulas=[first, *explanation.formulas[1:]])
    assert typeset(formula)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_picture(plate_figure(explanation, "title"), "png")

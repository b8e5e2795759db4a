"""The figure of what a condition changes: which rows its panels stand for."""

import pytest
import torch
from support.conditions import data_of, table

from pyrovae import Config, figures
from pyrovae.figures.conditions import FEW
from pyrovae.programs.build import build_for

pytestmark = pytest.mark.filterwarnings("ignore:dataset. ")


def numbers():
    """The columns age, income, smokes, children, height and weight."""
    columns = table(200)
    del columns["sex"]
    return columns


def drawn(condition, values=None, **settings):
    data = data_of(values or table(200), condition=condition, **settings)
    config = Config(pixels="real", likelihood="gaussian", condition=condition or "label", hidden=(8,))
    return data, figures.FIGURES["conditions"](build_for(config, data), data)


def titles(figure):
    return [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]


def test_a_row_stands_for_each_category_and_for_thirds_of_numbers(tmp_path):
    data, figure = drawn("column1,column3")
    ages = data.test.given[:, 0]
    low, _, high, *categories = titles(figure)
    assert categories == ["column3 = female", "column3 = male", "column3 = other"]
    assert low == f"column1\n{ages.min():.3g} to {ages.sort().values[13]:.3g}"
    assert high.endswith(f"{ages.max():.3g}")
    assert len(figure.axes) == 6 * 5
    assert [axes.get_title() for axes in figure.axes[:5]] == ["column2", "column4", "column5", "column6", "column7"]
    figure.savefig(tmp_path / "conditions.png")


def test_rows_are_given_their_own_conditions(monkeypatch):
    """Of each row of panels, all that the model is given lies in the range on the left."""
    seen = []
    data = data_of(numbers(), condition="column1")
    program = build_for(Config(pixels="real", likelihood="gaussian", condition="column1", hidden=(8,)), data)
    generate = program.generate
    monkeypatch.setattr(type(program), "generate", lambda self, y, mean: seen.append(y) or generate(y=y, mean=mean))
    figure = figures.FIGURES["conditions"](program, data)
    for y, title in zip(seen, titles(figure), strict=True):
        low, high = map(float, title.split("\n")[1].split(" to "))
        assert low - 0.5 <= y.min() <= y.max() <= high + 0.5


def test_few_rows_of_data_make_no_histogram():
    columns = table(200)
    columns["sex"][:] = "female"
    columns["sex"][:10] = "male"
    data = data_of(columns, condition="column3", test=40)
    count = int((data.test.given == 1).sum())
    assert 0 < count < FEW
    config = Config(pixels="real", likelihood="gaussian", condition="column3", hidden=(8,))
    figure = figures.FIGURES["conditions"](build_for(config, data), data)
    bars = [sum(patch.get_facecolor()[3] > 0 and patch.get_fill() for patch in axes.patches) for axes in figure.axes]
    across = data.shape[0] if data.shape[0] < 6 else 6
    assert all(bars[:across])
    assert bars[across] < bars[0]


def test_a_table_with_labels_has_a_row_for_each():
    data, figure = drawn("", numbers(), labels=torch.arange(200) % 2, classes=("ill", "well"))
    assert titles(figure) == ["ill", "well"]
    assert data.conditions == {}

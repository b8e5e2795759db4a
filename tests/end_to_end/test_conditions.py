"""Command lines about a table of which columns are given: train, resume, sample, impute, evaluate and the others."""

import csv
import math
import shutil

import numpy as np
import pytest
import torch
from support.builders import contents
from support.commands import pyrovae
from support.conditions import CONDITION, NAMES, WORDS, table, write

from pyrovae import Config, Run
from pyrovae.config.grid import split

pytestmark = pytest.mark.filterwarnings("ignore:dataset. ")

SMALL = "--hidden 8 --device cpu --compile no --threads 1"
TABLE = f"--dataset csv:t.csv --pixels columns --condition {CONDITION}"
GIVEN = "age=40,sex=female,smokes=1,children=2"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a table, some of whose heights are missing, and runs of it."""
    root = tmp_path_factory.mktemp("conditions")
    columns = table(80)
    columns["height"][::5] = math.nan
    write(root / "t.csv", columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert pyrovae(f"train {TABLE} --epochs 2 --prior conditional {SMALL} --out run") == 0
        assert pyrovae(f"train --epochs 1 --no-figures {SMALL} --out plain") == 0
    return root


@pytest.fixture(autouse=True)
def inside(root, monkeypatch):
    monkeypatch.chdir(root)


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def test_a_run_keeps_what_it_is_given_and_figures_show_it(root):
    run = Run("run")
    assert [*run.conditions] == CONDITION.split(",")
    assert run.columns == ("income", "height", "weight")
    assert run.summary["condition"] == CONDITION
    assert run.conditions["age"].mean == pytest.approx(run.data.train.given[:, 0].mean().item(), rel=1e-6)
    assert [*run.data.conditions.values()] == [*run.conditions.values()]
    drawn = {path.stem for path in (root / "run/figures").iterdir()}
    assert {"conditions", "marginals", "pairs", "imputations", "latent"} <= drawn
    assert "given age, sex, smokes, children" in repr(run)


def test_resumed_trainings_are_the_same_bit_for_bit(root):
    whole = f"train {TABLE} --prior conditional {SMALL} --no-figures"
    assert pyrovae(f"{whole} --epochs 3 --out whole") == 0
    assert pyrovae(f"{whole} --epochs 2 --out parts") == 0
    assert pyrovae(f"train --resume --out parts --condition {CONDITION} --epochs 3") == 0
    assert contents(root / "parts") == contents(root / "whole")
    assert pyrovae("train --resume --out parts --condition age --epochs 4") == 2
    again, one = (Run(name).vae for name in ("parts", "whole"))
    for program in (again, one):
        torch.manual_seed(0)
        program.drawn = program.generate(y={"age": 40, "sex": "male", "smokes": 0, "children": 1}, mean=False)
    assert torch.equal(again.drawn, one.drawn)


def test_samples_are_drawn_for_values(root):
    assert pyrovae(f"sample run -n 7 --given {GIVEN} --out given.csv") == 0
    rows = rows_of(root / "given.csv")
    assert len(rows) == 7
    assert [*rows[0]] == [*CONDITION.split(","), "income", "height", "weight"]
    assert {tuple(row[name] for name in CONDITION.split(",")) for row in rows} == {("40", "female", "1", "2")}
    assert len({row["income"] for row in rows}) == 7
    assert pyrovae("sample run -n 5 --given sex=male --given age=33.5 --out some.csv") == 0
    rows, test = rows_of(root / "some.csv"), Run("run").data.test.given
    assert {(row["age"], row["sex"]) for row in rows} == {("33.5", "male")}
    assert [float(row["children"]) for row in rows] == test[:5, 3].tolist()
    assert pyrovae("sample run -n 100") == 0
    rows = rows_of(root / "run/sample.csv")
    assert [float(row["age"]) for row in rows] == pytest.approx(test[torch.arange(100) % len(test), 0].tolist())
    assert pyrovae("sample run -n 4 --out rows.npz") == 0
    with np.load(root / "rows.npz") as arrays:
        assert {name: array.shape for name, array in arrays.items()} == {"rows": (4, 3), "given": (4, 4)}


def test_all_values_are_given_without_the_data(root):
    shutil.copytree(root / "run", root / "far/run")
    (root / "t.csv").rename(root / "away.csv")
    try:
        assert pyrovae(f"sample far/run -n 2 --given {GIVEN} --out far.csv") == 0
        assert pyrovae("sample far/run -n 2 --given age=40 --out farther.csv") == 2
    finally:
        (root / "away.csv").rename(root / "t.csv")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sample run --given sex=femal", "given: sex: expected one of female, male, other, got 'femal'; did you mean"),
        (
            "sample run --given agee=3",
            "given: expected one of age, sex, smokes, children, got 'agee'; did you mean 'age'",
        ),
        ("sample run --given age", "given: expected NAME=VALUE,..., as age="),
        ("sample run --given age=old", "given: age: expected finite numbers, got 'old'"),
        ("sample run --given children=1.5", "given: children: expected whole numbers from 0 to 16,777,216, got '1.5'"),
        ("sample run --given smokes=2", "given: smokes: expected 0 and 1, got '2'"),
        ("sample run --given age=3,age=4", "given: expected one value of age, got two"),
        (
            "sample run --label male",
            f"label: expected a model that is given labels, got one with condition '{CONDITION}'",
        ),
        ("sample plain --given age=3", "given: expected a model that is given columns, got one with condition 'none'"),
        ("explore run", "explore: expected a model of images, got one of vectors of 3 numbers"),
        ("plot run completions", "figure completions: expected images, got a table"),
        (f"train {TABLE} {SMALL} --condition agee --out no", "condition: expected columns of t.csv, age, income, "),
        (
            f"train {TABLE} {SMALL} --program mixture --out no",
            "condition: expected none, as program 'mixture' does not re",
        ),
        (
            f"train {TABLE} {SMALL} --program semi_supervised --out no",
            "condition: expected none, as program 'semi_super",
        ),
        (f"train --condition age {SMALL} --out no", "condition: expected 'none', 'label', "),
        (
            f"train {TABLE} --dataset csv:unknown.csv --out no",
            "condition: expected a value of sex in every row of unknown",
        ),
        ("impute run csv:unknown.csv", "condition: expected a value of sex in every row of unknown.csv, "),
        (
            "impute run csv:strange.csv",
            "expected female, male, other in column sex of strange.csv, which is category, got",
        ),
        ("impute run csv:lacking.csv", "condition: expected columns of lacking.csv, age, income, smokes, children, "),
    ],
)
def test_bad_input_is_one_line(line, message, root, capsys):
    columns = table(20) | {"height": np.full(20, math.nan)}
    columns["height"][1:] = 1.5
    write(root / "unknown.csv", columns, sex="")
    write(root / "strange.csv", columns, sex="robot")
    write(root / "lacking.csv", {name: columns[name] for name in NAMES if name != "sex"})
    assert pyrovae(line) == 2
    printed = [each for each in capsys.readouterr().err.splitlines() if not each.startswith("warning: ")]
    assert len(printed) == 1
    assert message in printed[0]
    assert not (root / "no").exists()


def test_missing_values_are_imputed_beside_what_is_given(root):
    assert pyrovae("impute run --samples 50 --out whole.csv") == 0
    rows, first = rows_of(root / "whole.csv"), rows_of(root / "t.csv")
    assert [row["sex"] for row in rows] == [row["sex"] for row in first]
    assert [float(row["age"]) for row in rows] == pytest.approx([float(row["age"]) for row in first], rel=1e-6)
    assert all(math.isfinite(float(row["height"])) for row in rows)
    write(root / "new.csv", table(6, seed=3), height="")
    assert pyrovae("impute run csv:new.csv --samples 50 --draws 3 --out draws.csv") == 0
    rows = rows_of(root / "draws.csv")
    assert [row["draw"] for row in rows] == [str(draw) for draw in (1, 2, 3) for _ in range(6)]
    assert [row["sex"] for row in rows] == [row["sex"] for row in rows_of(root / "new.csv")] * 3
    assert len({row["height"] for row in rows[::6]}) == 3
    assert len({row["height"] for row in rows[1::6]}) == 1


def test_other_commands_work(root, capsys):
    assert pyrovae("evaluate run --samples 20") == 0
    assert "log p(x | y) = " in capsys.readouterr().out
    assert Run("run").evaluation["condition"] == CONDITION
    assert pyrovae("report run --out page.html") == 0
    assert "given age, sex, smokes, children" in (root / "page.html").read_text(encoding="utf-8")
    assert pyrovae("plot run conditions marginals") == 0
    assert pyrovae("explain run --images 8 --figure plates.png") == 0
    assert "p(x | z, y)" in capsys.readouterr().out
    assert pyrovae("gradients run --draws 3") == 0
    assert pyrovae("compare run plain") == 0
    assert Config.from_toml((root / "run/config.toml").read_text(encoding="utf-8")).condition == CONDITION


def test_conditions_are_swept_between_semicolons(root, capsys):
    conditions = "age;age,sex"
    line = f"sweep {TABLE.split(' --condition')[0]} --condition '{conditions}' --epochs 1 --jobs 1 --no-figures {SMALL}"
    assert pyrovae(f"{line} --out sweep") == 0
    names = {path.name for path in (root / "sweep").iterdir() if path.is_dir()}
    assert {"condition=age,seed=0", "condition=age-sex,seed=0"} <= names
    assert split("condition", ["none,label"]) == ["none", "label"]
    assert split("condition", ["age,sex"]) == ["age,sex"]
    assert {*WORDS} == {*Run("run").conditions["sex"].categories}

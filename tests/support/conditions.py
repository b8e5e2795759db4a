"""Tables of which some columns are conditions: a process with known conditional means, and a file of it."""

import numpy as np

from pyrovae import Data

NAMES = ("age", "income", "sex", "smokes", "children", "height", "weight")
CONDITION = "age,sex,smokes,children"
KINDS = {"age": "real", "sex": "category", "smokes": "binary", "children": "count"}
WORDS = ("female", "male", "other")


def table(n=400, seed=0):
    """Return the columns of n rows by name: income, height and weight depend on the others, and noise of sd 1."""
    rng = np.random.default_rng(seed)
    age, sex = rng.uniform(18, 80, n), rng.integers(0, 3, n)
    smokes, children = rng.integers(0, 2, n), rng.poisson(1.5, n)
    noise = rng.normal(size=(n, 3))
    means = means_of(age, sex, smokes, children)
    columns = dict(zip(("income", "height", "weight"), (means + noise).T))
    given = {"age": age, "sex": np.array(WORDS)[sex], "smokes": smokes, "children": children}
    return {name: (columns | given)[name] for name in NAMES}


def means_of(age, sex, smokes, children):
    """Return E[income, height, weight | the conditions], (n, 3)."""
    return np.stack([0.1 * age + children, 5.0 * (np.asarray(sex) == 1), -3.0 * smokes + 0.05 * age], -1)


def as_rows(columns):
    """Return a table as an array (n, D), of objects if there are words, without names."""
    words = any(values.dtype.kind == "U" for values in columns.values())
    return np.array([*zip(*(values.tolist() for values in columns.values()))], dtype=object if words else None)


def data_of(values, pixels="real", test=0.2, condition=("column1", "column3", "column4", "column5"), **settings):
    return Data.of(as_rows(values), test=test, pixels=pixels, condition=condition, **settings)


def write(path, columns, **changed):
    """Write a table as csv, with other values in its first row."""
    rows = as_rows(columns)
    for name, value in changed.items():
        rows[0, [*columns].index(name)] = value
    lines = [",".join(map(str, row)) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines, ""]), encoding="utf-8")

"""Monotone and interaction constraints: what is read from the forms that users write, and what models keep to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gbreg.engines import get_engine
from gbreg.engines.constraints import interaction_lists, monotone_list

NAMES = ("price", "age", "country")
FORMS: list[Any] = [
    [1, 0, -1],
    (1, 0, -1),
    np.array([1, 0, -1]),
    [1.0, 0.0, -1.0],
    {"price": 1, "country": -1},
    {0: 1, 2: -1},
    {"price": 1, np.int64(2): -1},
    "1,0,-1",
    "(1, 0, -1)",
    "[1,0,-1]",
    "price:1,country:-1",
    "0:1,2:-1",
]


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_forms_of_monotone_constraints(form: Any) -> None:
    assert monotone_list(form, 3, NAMES) == [1, 0, -1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 0], r"\[1, 0\] has 2 signs, and X 3 columns: give one a column, or \{column: sign\}"),
        ("1,0", r"\[1, 0\] has 2 signs, and X 3 columns"),
        ([1, 0, 2], "has 2 for column 2: it must be a list with one sign a column, or {column: sign}"),
        ([1, 0, True], "has True for column 2"),
        ({"price": "up"}, "has 'up' for column 'price'"),
        ({"prise": 1}, r"names column 'prise': did you mean 'price'\? Columns are price, age, country"),
        ({3: 1}, "names column 3: X has 3 columns, 0 to 2"),
        ("up", "monotone_constraints='up' must be a list"),
        ("price:1,price:-1", "must be a list"),
        (1, "monotone_constraints=1 must be a list"),
    ],
)
def test_wrong_monotone_constraints(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        monotone_list(value, 3, NAMES)


def test_constraints_of_columns_without_names_and_of_categories() -> None:
    with pytest.raises(ValueError, match="names column 'price', and the columns of X have no names: give its index"):
        monotone_list({"price": 1}, 3, None)
    with pytest.raises(ValueError, match="constrains column 'country', which is categorical: categories have no order"):
        monotone_list({"country": 1}, 3, NAMES, categorical=(2,))
    assert monotone_list([1, 0, 0], 3, NAMES, categorical=(2,)) == [1, 0, 0]


@pytest.mark.parametrize(
    "form",
    [
        [["price", "age"], ["country"]],
        [[0, 1], [2]],
        ((0, "age"), (2,)),
        [np.array([0, 1]), np.array([2])],
        "[[0,1],[2]]",
        "[0,1],[2]",
        '[["price","age"],["country"]]',
    ],
    ids=repr,
)
def test_forms_of_interaction_constraints(form: Any) -> None:
    assert interaction_lists(form, 3, NAMES) == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0, 1], "must be a list of lists of columns, such as"),
        ("0,1", "interaction_constraints='0,1' must be a list of lists"),
        ([["prise"]], "interaction_constraints names column 'prise': did you mean 'price'"),
        ([[7]], "interaction_constraints names column 7: X has 3 columns"),
        (5, "interaction_constraints=5 must be a list of lists"),
    ],
)
def test_wrong_interaction_constraints(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interaction_lists(value, 3, NAMES)


@pytest.mark.parametrize(
    ("engine", "params", "monotone"),
    [
        ("lightgbm", None, False),
        ("lightgbm", {"monotone_constraints": [0, 0]}, False),
        ("lightgbm", {"mc": "1,0"}, True),
        ("lightgbm", {"monotonic_cst": np.array([0, -1])}, True),
        ("xgboost", {"monotone_constraints": {"a": 1}}, True),
        ("xgboost", {"monotone_constraints": "(0,0)"}, False),
        ("catboost", {"monotone_constraints": "a:1"}, True),
        ("catboost", {"depth": 3}, False),
    ],
)
def test_whether_anything_is_constrained(engine: str, params: Any, monotone: bool) -> None:
    assert get_engine(engine).monotone(params) is monotone

"""`groups=`: rows of one group, such as a customer, are held out together or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from gbreg import BucketRegressor, D2QRegressor, GBRegressor, HurdleRegressor, WCERegressor, ZILNRegressor
from gbreg.estimators.rows import hold_out

SMALL = {"n_estimators": 30, "max_leaves": 8, "n_jobs": 1, "random_state": 0, "early_stopping_rounds": 3}
PRESETS = {
    "buckets": lambda **more: BucketRegressor(n_buckets=8, **SMALL | more),
    "ziln": lambda **more: ZILNRegressor(**SMALL | more),
    "wce": lambda **more: WCERegressor("log2", **SMALL | more),
    "wce, copied": lambda **more: WCERegressor("log2", implementation="duplicate", **SMALL | more),
}


def customers(n=600, seed=0):
    """Ten rows a customer, whose labels are the customer's own and hardly the features'."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(n // 10), 10)
    X = np.column_stack([rng.normal(size=n // 10)[who], rng.normal(size=n)])
    y = np.exp(rng.normal(size=n // 10))[who] * (rng.random(n) < 0.7)
    return X, y, who


@pytest.mark.parametrize("as_groups", [lambda g: g, lambda g: [f"c{i}" for i in g], lambda g: g.astype(float)])
def test_each_group_lies_on_one_side(as_groups):
    *_, who = customers()
    inside, outside = hold_out(who.size, 0.2, 0, as_groups(who))
    assert set(who[inside]).isdisjoint(who[outside])
    assert sorted([*inside, *outside]) == list(range(who.size))
    assert np.unique(who[outside]).size == 12
    assert (np.diff(inside) > 0).all()
    assert (np.diff(outside) > 0).all()


def test_early_stopping_and_calibration_use_the_held_out_groups():
    X, y, who = customers()
    weight = np.where(np.arange(y.size) % 7 == 0, 0.0, 1.0)
    used = np.flatnonzero(weight)
    inside, outside = (used[part] for part in hold_out(used.size, 0.1, 0, who[used]))
    given = {"eval_set": (X[outside], y[outside])}
    for model in (
        GBRegressor("poisson", **SMALL, calibration="ratio"),
        *(make(calibration="ratio") for make in PRESETS.values()),
    ):
        grouped = model.fit(X, y, weight, groups=who)
        predicted, rounds = grouped.predict(X), grouped.best_iteration_
        by_hand = model.fit(X[inside], y[inside], **given)
        assert by_hand.best_iteration_ == rounds
        np.testing.assert_array_equal(by_hand.predict(X), predicted)


def test_leaking_rows_stop_late_and_groups_stop_in_time():
    X, y, who = customers(4000)
    model = GBRegressor(**SMALL | {"n_estimators": 200, "max_leaves": 31, "early_stopping_rounds": 20})
    leaking = model.fit(X, y).best_iteration_
    assert model.fit(X, y, groups=who).best_iteration_ < leaking / 4


def test_composites_pass_groups_on():
    X, y, who = customers()
    part = GBRegressor("poisson", **SMALL)
    hurdle = HurdleRegressor(GBRegressor("bernoulli", **SMALL), part).fit(X, y, groups=who)
    alone = part.fit(X[y > 0], y[y > 0], groups=who[y > 0])
    np.testing.assert_array_equal(hurdle.regressor_.predict(X), alone.predict(X))
    d2q = D2QRegressor(GBRegressor(**SMALL), group=1, n_groups=3).fit(X, y, groups=who)
    assert (
        d2q.estimator_.best_iteration_
        == GBRegressor(**SMALL).fit(X, d2q._ranks(d2q._groups(X[:, 1]), y), groups=who).best_iteration_
    )


@pytest.mark.parametrize("make", [lambda: GBRegressor(**SMALL), PRESETS["buckets"]])
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros(600), "all 600 rows are of one group.*eval_set"),
        (np.zeros(599), r"one entry a row, 600, got shape \(599,\)"),
        (np.zeros((600, 1)), r"got shape \(600, 1\)"),
        (np.r_[np.nan, np.arange(599.0)], "1 of 600 are missing"),
        (np.array([None, *range(599)], dtype=object), "1 of 600 are missing"),
        (np.array(["NaT", *["2020-01-01"] * 599], dtype="datetime64[D]"), "1 of 600 are missing"),
    ],
)
def test_groups_that_cannot_be(make, groups, message):
    X, y, _ = customers()
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, groups=groups)

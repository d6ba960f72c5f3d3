"""One label that is most of the sum is named, whatever the model makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from gbreg import BucketRegressor, GBRegressor, OrdinalRegressor, WCERegressor, ZILNRegressor

PRESETS = pytest.mark.parametrize("preset", [ZILNRegressor, BucketRegressor, OrdinalRegressor, WCERegressor])


def spend():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(rng.random(200) < 0.4, 0.0, np.exp(X[:, 0]))
    y[17] = 500.0
    return X, y


@PRESETS
def test_a_label_with_most_of_the_sum_is_named(preset):
    X, y = spend()
    model = preset(n_estimators=2, n_jobs=1)
    with pytest.warns(UserWarning, match=rf"{preset.__name__}: row 17 alone, with y=500, has \d\d\.\d% of the sum of 200"):
        model.fit(X, y)


@PRESETS
def test_a_row_that_does_not_count_is_no_part_of_the_sum(preset):
    X, y = spend()
    weight = np.where(np.arange(200) == 17, 0.0, 1.0)
    assert preset(n_estimators=2, n_jobs=1).fit(X, y, weight).predict(X).max() < 100  # and no warning, which would raise


def test_warnings_point_at_the_line_that_fits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.exp(rng.normal(size=200))
    y[3] = 1e6
    with pytest.warns(UserWarning, match="row 3 alone") as told:
        ZILNRegressor(n_estimators=2, n_jobs=1).fit(X, y)
    assert [w.filename for w in told if "row 3 alone" in str(w.message)] == [__file__]
    with pytest.warns(UserWarning, match="a constant is predicted") as told:
        GBRegressor(n_estimators=2, n_jobs=1, early_stopping_rounds=1).fit(X, y, eval_set=(-X, rng.normal(size=200)))
    assert [w.filename for w in told if "a constant is" in str(w.message)] == [__file__]

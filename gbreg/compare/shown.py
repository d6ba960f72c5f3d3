"""The columns of a leaderboard: what each is called, how its values are written, which value is better, what it means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gbreg.metrics import METRICS


def number(value: float) -> str:
    """Four significant digits, without an exponent where that is readable.

    >>> number(28.7123), number(0.70049), number(123456.7), number(1e-9)
    ('28.71', '0.7005', '123,457', '1e-09')
    """
    if math.isnan(value):
        return "-"
    size = abs(value)
    if size != 0 and not 1e-3 <= size < 1e9:
        return f"{value:.3g}"
    digits = 3 - math.floor(math.log10(size)) if size > 0 else 0
    return f"{value:,.{max(0, min(digits, 4))}f}"


def _three_digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else number(value)


def _share(value: float) -> str:
    return f"{value:.1%}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value else "-"


@dataclass(frozen=True)
class Column:
    """A metric of `gbreg.metrics.METRICS`, which knows its best value, or what the fit took.

    Parameters
    ----------
    name : str
    title : str
    written : function of a value
    meaning : str
        What readers may not know, for the note below the table; "" for nothing.
    ranks : bool
        Whether it looks at the order of predictions alone, so that those in another unit have it too.
    """

    name: str
    title: str
    written: Callable[[float], str] = _three_digits
    meaning: str = ""
    ranks: bool = False


# Measured on the test rows, and shown in this order: a metric is added by its line.
_MEASURED = (
    Column("mae", "MAE", number),
    Column("rmse", "RMSE", number),
    Column("spearman", "Spearman", ranks=True),
    Column("normalized_gini", "Gini", meaning="Gini is normalised", ranks=True),
    Column("pcoc", "PCOC", meaning="PCOC is the sum of predictions over the sum of labels"),
    Column("over_2x", "over 2x", _share, "over and under 2x are shares of rows off by more than a factor 2"),
    Column("under_2x", "under 2x", _share),
    Column(
        "decile_error",
        "decile error",
        meaning="decile error is the sum over ten groups by prediction of |predicted - observed|, over the total",
    ),
)
_COLUMNS = {column.name: column for column in (*_MEASURED, Column("fit_seconds", "fit s", _seconds))}
SHOWN = tuple(column.name for column in _MEASURED)
RANKING = tuple(column.name for column in _MEASURED if column.ranks)
TITLES = {column.name: column.title for column in _COLUMNS.values()}
MEANINGS = "; ".join(column.meaning for column in _MEASURED if column.meaning)


def badness(metric: str, value: float) -> float:
    """A value of a metric turned so that less is better; PCOC by its distance from 1 as a ratio."""
    if metric == "fit_seconds":
        return value
    if METRICS[metric].target is not None:
        return abs(math.log(value)) if value > 0 else math.inf
    return -value if METRICS[metric].greater_is_better else value


def cell(metric: str, value: float) -> str:
    """A value as the leaderboard shows it."""
    return "-" if math.isnan(value) else _COLUMNS[metric].written(value)

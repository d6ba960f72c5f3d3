"""Numbers a business reads, from labels, predictions and weights. All are called alike.

Every metric takes ``(y_true, y_pred, sample_weight=None)``, arrays of shape (n_samples,), and returns a float; rows of
weight 0 do not count. Where a metric has no value (a ranking of constant labels, a ratio to a sum of 0) it is NaN: its
docstring says when, and scikit-learn's `UndefinedMetricWarning` why. `ValueError` for rows that are none: no rows, all
weights 0, anything missing or infinite. `interval` says how sure a metric is, `by_horizon` measures predictions at several
horizons, `concordance`, `censored_log_score` and `censored_crps` rows whose label is only known to be at least y, `scorer`
makes a metric scikit-learn's, `METRICS` lists those with names.

Where rows have exposures, amounts are measured without weights: labels as they are, against ``predict(X, exposure=...)``.
Rates, labels divided by exposures against ``predict(X, exposure=1)``, take the exposures as weights.
"""

from gbreg.metrics.base import mid_ranks
from gbreg.metrics.censored import censored_crps, censored_log_score, concordance
from gbreg.metrics.errors import (
    crps,
    gamma_deviance,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_log_error,
    pinball,
    poisson_deviance,
    root_mean_squared_error,
    tweedie_deviance,
    weighted_mean_absolute_percentage_error,
)
from gbreg.metrics.horizons import by_horizon, crossing_share
from gbreg.metrics.intervals import Interval, difference, interval
from gbreg.metrics.ranking import gini, grouped_xauc, kendall, normalized_gini, spearman, xauc
from gbreg.metrics.registry import METRICS, Metric, directed, get_metric, scorer
from gbreg.metrics.sums import (
    DecileTable,
    ProfitCurve,
    SegmentTable,
    abs_log_pcoc,
    decile_calibration_error,
    decile_mape,
    decile_table,
    gain_curve,
    overestimated_share,
    pcoc,
    profit_curve,
    segment_table,
    top_share,
    underestimated_share,
    worst_segment_pcoc,
)

__all__ = [
    "METRICS",
    "DecileTable",
    "Interval",
    "Metric",
    "ProfitCurve",
    "SegmentTable",
    "abs_log_pcoc",
    "by_horizon",
    "censored_crps",
    "censored_log_score",
    "concordance",
    "crossing_share",
    "crps",
    "decile_calibration_error",
    "decile_mape",
    "decile_table",
    "difference",
    "directed",
    "gain_curve",
    "gamma_deviance",
    "get_metric",
    "gini",
    "grouped_xauc",
    "interval",
    "kendall",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_log_error",
    "mid_ranks",
    "normalized_gini",
    "overestimated_share",
    "pcoc",
    "pinball",
    "poisson_deviance",
    "profit_curve",
    "root_mean_squared_error",
    "scorer",
    "segment_table",
    "spearman",
    "top_share",
    "tweedie_deviance",
    "underestimated_share",
    "weighted_mean_absolute_percentage_error",
    "worst_segment_pcoc",
    "xauc",
]

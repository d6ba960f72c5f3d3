"""Real data to try things on, and worlds whose truth is known.

The ``make_*`` functions draw rows from a known law: what they return holds the true mean, P(y > 0) and quantiles of every
row, and draws further labels of the same rows, so that bias is seen exactly.
"""

from gbreg.datasets.household import KEYS, PROVENANCE, TARGET, load_household_weeks
from gbreg.datasets.installed import load_charity, load_randhie
from gbreg.datasets.worlds import make_gmv, make_ltv, make_watch_time

__all__ = [
    "KEYS",
    "PROVENANCE",
    "TARGET",
    "load_charity",
    "load_household_weeks",
    "load_randhie",
    "make_gmv",
    "make_ltv",
    "make_watch_time",
]

"""Predictive distributions, one a row: what a distributional model predicts, and every number to be read from it.

Arrays are float64 in the unit of the target. ``t`` and ``y`` are scalars or of shape (n,), n = ``len(distribution)``.
"""

from gbreg.distribution.base import Clipped, Distribution
from gbreg.distribution.bucketed import Bucketed
from gbreg.distribution.parametric import LogNormalDistribution, ZeroInflated
from gbreg.distribution.recalibrated import Recalibrated

__all__ = ["Bucketed", "Clipped", "Distribution", "LogNormalDistribution", "Recalibrated", "ZeroInflated"]

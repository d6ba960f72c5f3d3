"""scikit-learn estimators."""

from gbreg.estimators.bucket import BucketRegressor
from gbreg.estimators.calibrated import CalibratedRegressor
from gbreg.estimators.d2q import D2QRegressor
from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.ordinal import OrdinalRegressor
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.wce import WCERegressor
from gbreg.estimators.ziln import ZILNRegressor

__all__ = [
    "BucketRegressor",
    "CalibratedRegressor",
    "D2QRegressor",
    "GBRegressor",
    "HurdleRegressor",
    "OrdinalRegressor",
    "WCERegressor",
    "ZILNRegressor",
]

"""scikit-learn estimators."""

from gbreg.estimators.blend import BlendRegressor
from gbreg.estimators.bucket import BucketRegressor
from gbreg.estimators.calibrated import CalibratedRegressor
from gbreg.estimators.cold_start import ColdStartRegressor
from gbreg.estimators.d2q import D2QRegressor
from gbreg.estimators.horizon import HorizonRegressor
from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.model import Model
from gbreg.estimators.ordinal import OrdinalRegressor
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.wce import WCERegressor
from gbreg.estimators.ziln import ZILNRegressor

__all__ = [
    "BlendRegressor",
    "BucketRegressor",
    "CalibratedRegressor",
    "ColdStartRegressor",
    "D2QRegressor",
    "GBRegressor",
    "HorizonRegressor",
    "HurdleRegressor",
    "OrdinalRegressor",
    "WCERegressor",
    "ZILNRegressor",
]

# The estimators that a word stands for, such as "bucket": one that is exported here joins.
BY_WORD: dict[str, type[Model]] = {cls.word: cls for cls in map(globals().__getitem__, __all__) if cls.word}

"""scikit-learn estimators."""

from gbreg.estimators.regressor import GBRegressor

__all__ = ["GBRegressor"]

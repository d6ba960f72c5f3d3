"""Plots that say whether numbers can be trusted, in scikit-learn's manner (``pip install "gbreg[plot]"``).

``Display.from_predictions(y_true, y_pred)`` and ``.from_estimator(model, X, y)`` compute, keep what is shown as attributes,
and draw; give several models the same ``ax=`` to compare them.
"""

from gbreg.plots.levels import CalibrationDisplay, DecileDisplay, ErrorRatioDisplay
from gbreg.plots.rows import GainDisplay, PredictionDisplay, RatioDisplay
from gbreg.plots.shapes import LearningCurveDisplay, LossDisplay, PITDisplay, SoftLabelDisplay

__all__ = [
    "CalibrationDisplay",
    "DecileDisplay",
    "ErrorRatioDisplay",
    "GainDisplay",
    "LearningCurveDisplay",
    "LossDisplay",
    "PITDisplay",
    "PredictionDisplay",
    "RatioDisplay",
    "SoftLabelDisplay",
]

"""Monotone maps of predictions that make their sum right, fitted on rows that the model did not see.

Every calibrator is fitted to (prediction, y, sample_weight) and preserves the sum on those rows. Order is preserved too:
predictions that differ stay different (up to rounding, and unless all labels are 0, when 0 is predicted). To let old rows
count less, weigh them by `time_decay`. `PITCalibrator` is of another kind: it maps whole distributions.
"""

from __future__ import annotations

from gbreg.calibration.base import Calibrator, time_decay
from gbreg.calibration.curves import IsotonicCalibrator, RatioCalibrator, SplineCalibrator
from gbreg.calibration.pit import PITCalibrator
from gbreg.calibration.segments import SegmentedCalibrator

__all__ = [
    "CALIBRATORS",
    "AnyCalibrator",
    "Calibrator",
    "IsotonicCalibrator",
    "PITCalibrator",
    "RatioCalibrator",
    "SegmentedCalibrator",
    "SplineCalibrator",
    "get_calibrator",
    "time_decay",
]

AnyCalibrator = Calibrator | PITCalibrator

CALIBRATORS: dict[str, type[Calibrator]] = {
    "ratio": RatioCalibrator,
    "isotonic": IsotonicCalibrator,
    "spline": SplineCalibrator,
}


def get_calibrator(method: str | Calibrator) -> Calibrator:
    """A calibrator by name; an instance as it is.

    >>> get_calibrator("isotonic")
    IsotonicCalibrator()
    """
    if isinstance(method, Calibrator):
        return method
    if method not in CALIBRATORS:
        raise ValueError(f"method={method!r} is not known: use one of {', '.join(CALIBRATORS)}, or a Calibrator")
    return CALIBRATORS[method]()

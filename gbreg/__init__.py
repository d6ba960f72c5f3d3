"""gbreg: gradient boosting for money and time.

What may be imported are the names listed here, in `__all__`, and those in the `__all__` of the modules among them.
Every public name is loaded when first used: ``import gbreg`` imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gbreg import calibration as calibration
    from gbreg import compare as compare
    from gbreg import distribution as distribution
    from gbreg import links as links
    from gbreg import losses as losses
    from gbreg import metrics as metrics
    from gbreg import tuning as tuning
    from gbreg._callables import metric as metric
    from gbreg._callables import objective as objective
    from gbreg.estimators import BlendRegressor as BlendRegressor
    from gbreg.estimators import BucketRegressor as BucketRegressor
    from gbreg.estimators import CalibratedRegressor as CalibratedRegressor
    from gbreg.estimators import ColdStartRegressor as ColdStartRegressor
    from gbreg.estimators import D2QRegressor as D2QRegressor
    from gbreg.estimators import GBRegressor as GBRegressor
    from gbreg.estimators import HorizonRegressor as HorizonRegressor
    from gbreg.estimators import HurdleRegressor as HurdleRegressor
    from gbreg.estimators import OrdinalRegressor as OrdinalRegressor
    from gbreg.estimators import WCERegressor as WCERegressor
    from gbreg.estimators import ZILNRegressor as ZILNRegressor
    from gbreg.persistence import check_savable as check_savable
    from gbreg.persistence import load as load
    from gbreg.reporting import report as report

_PUBLIC = {
    "BlendRegressor": "gbreg.estimators",
    "BucketRegressor": "gbreg.estimators",
    "CalibratedRegressor": "gbreg.estimators",
    "ColdStartRegressor": "gbreg.estimators",
    "D2QRegressor": "gbreg.estimators",
    "GBRegressor": "gbreg.estimators",
    "HorizonRegressor": "gbreg.estimators",
    "HurdleRegressor": "gbreg.estimators",
    "OrdinalRegressor": "gbreg.estimators",
    "WCERegressor": "gbreg.estimators",
    "ZILNRegressor": "gbreg.estimators",
    "check_savable": "gbreg.persistence",
    "load": "gbreg.persistence",
    "metric": "gbreg._callables",
    "objective": "gbreg._callables",
    "report": "gbreg.reporting",
}
_MODULES = (
    *("calibration", "compare", "datasets", "distribution", "engines", "estimators", "links", "losses", "metrics"),
    *("persistence", "plots", "reporting", "testing", "tuning"),
)

__all__ = [*_PUBLIC, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"gbreg.{name}")
    raise AttributeError(f"module 'gbreg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_MODULES})

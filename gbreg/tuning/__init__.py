"""Tuning with Optuna: the parameters of losses and boosters together, against the metric that counts."""

from typing import TYPE_CHECKING, Any

try:
    import optuna as _optuna  # noqa: F401
except ImportError as error:
    raise ImportError('gbreg.tuning searches with Optuna: pip install "gbreg[tune]"') from error

from gbreg.losses import Choice, Integers, LogUniform, Uniform
from gbreg.tuning.estimator import TunedRegressor
from gbreg.tuning.result import NoBestError, TrialRecord, Tuned
from gbreg.tuning.search import Progress, tune
from gbreg.tuning.space import Space, search_space, suggest

if TYPE_CHECKING:
    from gbreg.reporting.study import write_study as write_study

__all__ = [
    "Choice",
    "Integers",
    "LogUniform",
    "NoBestError",
    "Progress",
    "Space",
    "TrialRecord",
    "Tuned",
    "TunedRegressor",
    "Uniform",
    "search_space",
    "suggest",
    "tune",
    "write_study",
]


def __getattr__(name: str) -> Any:
    if name == "write_study":  # lies with the other reports, which stand on the modules of this package
        from gbreg.reporting.study import write_study

        return write_study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

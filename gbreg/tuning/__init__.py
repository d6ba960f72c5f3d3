"""Tuning with Optuna: the parameters of losses and boosters together, against the metric that counts."""

try:
    import optuna as _optuna  # noqa: F401
except ImportError as error:
    raise ImportError('gbreg.tuning searches with Optuna: pip install "gbreg[tune]"') from error

from gbreg.losses import Choice, Integers, LogUniform, Uniform
from gbreg.tuning.estimator import TunedRegressor
from gbreg.tuning.report import write_study
from gbreg.tuning.result import NoBestError, TrialRecord, Tuned
from gbreg.tuning.search import Progress, tune
from gbreg.tuning.space import Space, search_space, suggest

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

"""What gbreg takes from its dependencies that they keep to themselves: no other module names a private part of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = ["HasMethods", "Interval", "StrOptions", "all_trials", "is_stored", "lightgbm_aliases", "validate_parameters"]


def validate_parameters(estimator: Any) -> None:
    """Raise what the estimator's `fit` would of its parameters: scikit-learn's `InvalidParameterError`."""
    estimator._validate_params()


def lightgbm_aliases() -> Mapping[str, Sequence[str]]:
    """LightGBM's own list of its parameters, each with its names."""
    from lightgbm.basic import _ConfigAliases

    aliases: Mapping[str, Sequence[str]] = _ConfigAliases._get_all_param_aliases()
    return aliases


def all_trials(study: Any) -> Sequence[Any]:
    """Every trial of a study's storage: to samplers Hyperband shows those alone that are in the trial's bracket."""
    trials: Sequence[Any] = study._storage.get_all_trials(study._study_id, deepcopy=False)
    return trials


def is_stored(study: Any) -> bool:
    """Whether a study outlives its process."""
    from optuna.storages import InMemoryStorage

    return not isinstance(study._storage, InMemoryStorage)

"""What gbreg takes from its dependencies that they keep to themselves: no other module names a private part of them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "all_trials",
    "intrinsic_definition",
    "is_stored",
    "lightgbm_aliases",
    "lightgbm_row",
    "object_code",
    "validate_parameters",
]


def validate_parameters(estimator: Any) -> None:
    """Raise what the estimator's `fit` would of its parameters: scikit-learn's `InvalidParameterError`."""
    estimator._validate_params()


def lightgbm_aliases() -> Mapping[str, Sequence[str]]:
    """LightGBM's own list of its parameters, each with its names."""
    from lightgbm.basic import _ConfigAliases

    aliases: Mapping[str, Sequence[str]] = _ConfigAliases._get_all_param_aliases()
    return aliases


def lightgbm_row(booster: Any, row: NDArray[Any]) -> NDArray[np.float64]:
    """Raw scores of one row, of float32 or float64: `Booster.predict` sets up a predictor of many for each call."""
    from lightgbm import basic

    row, out, n_scores = np.ascontiguousarray(row), np.empty(booster.num_model_per_iteration()), ctypes.c_int64()
    kind = basic._C_API_DTYPE_FLOAT32 if row.dtype == np.float32 else basic._C_API_DTYPE_FLOAT64
    basic._safe_call(
        basic._LIB.LGBM_BoosterPredictForMatSingleRow(
            booster._handle,
            ctypes.c_void_p(row.__array_interface__["data"][0]),
            ctypes.c_int(kind),
            ctypes.c_int32(row.size),
            ctypes.c_int(1),  # laid out by rows
            ctypes.c_int(basic._C_API_PREDICT_RAW_SCORE),
            ctypes.c_int(0),
            ctypes.c_int(-1),  # from the first round to the last
            ctypes.c_char_p(b""),
            ctypes.byref(n_scores),
            ctypes.c_void_p(out.__array_interface__["data"][0]),
        )
    )
    return out


def all_trials(study: Any) -> Sequence[Any]:
    """Every trial of a study's storage: to samplers Hyperband shows those alone that are in the trial's bracket."""
    trials: Sequence[Any] = study._storage.get_all_trials(study._study_id, deepcopy=False)
    return trials


def is_stored(study: Any) -> bool:
    """Whether a study outlives its process."""
    from optuna.storages import InMemoryStorage

    return not isinstance(study._storage, InMemoryStorage)


def intrinsic_definition(value: Any) -> Any:
    """The function of which numba made an intrinsic; None for anything else."""
    return getattr(value, "_defn", None)


def object_code(callback: Any) -> tuple[bytes, Any]:
    """A numba C callback's object file, with all that it links to, and the LLVM module of which it was made."""
    library = callback._library
    return library._get_compiled_object(), library._final_module

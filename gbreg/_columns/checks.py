"""What an estimator asks of a table before it learns from it, or after."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from gbreg._columns.frames import as_frame, check_not_infinite, is_plain, numbers
from gbreg._columns.table import Table


def _fits(X: Any, estimator: Any) -> bool:
    """Whether X is a matrix of numbers as wide as the one that trained, where none had a name: all that is to be checked."""
    known = vars(estimator)
    return is_plain(X) and "feature_names_in_" not in known and X.shape[1] == known.get("n_features_in_")


def check_columns(estimator: Any, X: Any, *, reset: bool) -> None:
    """Let scikit-learn learn the number and names of X's columns, or compare them, once X is known to hold rows."""
    if isinstance(X, Table):
        if reset:
            X.name(estimator)
        return
    if not reset and _fits(X, estimator):
        return
    as_frame(X)
    validate_data(estimator, X, skip_check_array=True, reset=reset)


def check_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X for an estimator made of others, its columns learnt or compared: tables as they are, all else as arrays.

    What a table may hold is up to the parts, but for infinite numbers: they see other rows, and would count those. Arrays
    are refused where the estimator's tags say so (sparse, NaN).
    """
    if not reset and _fits(X, estimator) and np.isfinite(X).all():
        return X
    frame = as_frame(X)
    if isinstance(X, Table):
        check_columns(estimator, X, reset=reset)
        return X
    if frame is not None:
        check_columns(estimator, X, reset=reset)
        for column in frame.iter_columns():
            if column.dtype.is_float():
                check_not_infinite(numbers(column)[:, None], [column.name])
        return X
    tags = get_tags(estimator).input_tags
    sparse = ("csr", "csc") if tags.sparse else False
    X = validate_data(estimator, X, accept_sparse=sparse, dtype=None, ensure_all_finite=not tags.allow_nan, reset=reset)
    if X.dtype.kind == "f":
        check_not_infinite(X, None)
    return X

"""Saving without pickle: one zip with the engines' own model files, arrays, and a JSON description.

The description of an estimator is its class, its parameters and its fitted attributes; what JSON cannot hold stands in it as
``{"$kind": ...}``. `gbreg.persistence` reads it.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gbreg._columns import Columns
from gbreg._own_classes import own_module
from gbreg.calibration import CALIBRATORS, PITCalibrator, SegmentedCalibrator
from gbreg.engines import ENGINES
from gbreg.losses import Loss

FORMAT = 2
DESCRIPTION = "gbreg.json"
CALIBRATOR_CLASSES: tuple[type, ...] = (*CALIBRATORS.values(), SegmentedCalibrator, PITCalibrator)
# Prediction does without them: what cannot be written of these is replaced by the default.
_DISPENSABLE = ("eval_metric", "random_state", "cv")


class Savable:
    """What can be written to a file: an estimator joins by being a subclass."""

    def save(self, path: str | Path) -> None:
        """Write the model to one file, atomically: the engines' own models and JSON in a zip, no pickle."""
        save(self, path)


def save(model: Any, path: str | Path) -> None:
    """Write a fitted estimator to `path`: first to a temporary file beside it, then renamed over it.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator has not been fitted.
    TypeError
        If a part of it can only be pickled, such as a scikit-learn classifier in a `HurdleRegressor`: `check_savable` says
        so before training.
    FileNotFoundError
        If the folder does not exist.
    """
    check_is_fitted(model)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"save: folder {str(path.parent)!r} does not exist: create it first")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                described = _Writer(archive).estimator(model, "")
                head = {"format": FORMAT, "versions": _versions()}
                archive.writestr(DESCRIPTION, json.dumps(head | described, indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def check_savable(model: Any) -> None:
    """Raise what `save` would of this estimator, fitted or not: ask before a long training.

    Raises
    ------
    TypeError
        If a part or a parameter can only be pickled.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gbreg import GBRegressor, HurdleRegressor
    >>> check_savable(HurdleRegressor(GBRegressor("bernoulli"), GBRegressor("gamma")))
    >>> check_savable(HurdleRegressor(LogisticRegression(), GBRegressor("gamma")))
    Traceback (most recent call last):
        ...
    TypeError: save: classifier=LogisticRegression() could only be pickled, and a gbreg file holds no pickle: ...
    """
    if not isinstance(model, Savable) and hasattr(model, "save"):  # TunedRegressor saves the best of its estimator
        model = model.estimator
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        if isinstance(model, Savable):
            _Writer(archive).estimator(model, "")
        else:
            _Writer(archive).value(model, "model")


class _Writer:
    """Turns values into JSON, and into files of an archive where they are too large or not ours."""

    def __init__(self, archive: zipfile.ZipFile):
        self.archive = archive

    def estimator(self, model: Any, where: str) -> dict[str, Any]:
        """Class, parameters and fitted attributes; `where` is the path to it, and the name of its files."""
        defaults = inspect.signature(type(model)).parameters
        parameters = {}
        for name, value in model.get_params(deep=False).items():
            try:
                parameters[name] = self.value(value, f"{where}{name}")
            except TypeError:
                if name not in _DISPENSABLE:
                    raise
                parameters[name] = defaults[name].default
        fitted = {k: v for k, v in vars(model).items() if k.endswith("_") and not k.startswith("_")}
        return {
            "estimator": type(model).__name__,
            **own_module(type(model)),
            "parameters": parameters,
            "fitted": {k: self.value(v, f"{where}{k}") for k, v in fitted.items()},
        }

    def value(self, value: Any, where: str) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list):
            return self._items(value, where)
        if isinstance(value, tuple):
            return {"$tuple": self._items(value, where)}
        if isinstance(value, dict) and all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: self.value(v, f"{where}.{k}") for k, v in value.items()}
        if isinstance(value, dict):  # of columns by index, for example
            return {"$pairs": self._items([list(pair) for pair in value.items()], where)}
        if isinstance(value, np.ndarray):
            return {"$strings": value.tolist()} if value.dtype == object else {"$array": self._array(value, where)}
        if isinstance(value, Loss):
            return {"$loss": value.to_json()}
        if isinstance(value, Columns):
            return {"$columns": value.to_json()}
        if isinstance(value, (Savable, *CALIBRATOR_CLASSES)):
            return {"$estimator": self.estimator(value, f"{where}/")}
        package = type(value).__module__.split(".")[0]
        engine = next((engine for engine in ENGINES.values() if engine.module == package), None)
        if engine is not None:
            name = f"{where}/{engine.model_file}"
            self.archive.writestr(name, engine.to_bytes(value))
            return {"$booster": [engine.name, name]}
        raise TypeError(
            f"save: {where}={' '.join(repr(value).split())} could only be pickled, and a gbreg file holds no pickle: use a "
            "gbreg estimator in its place and plain values as parameters, or pickle the whole model yourself. "
            "gbreg.check_savable(model) says this before training"
        )

    def _items(self, values: Any, where: str) -> list[Any]:
        return [self.value(v, f"{where}.{i}") for i, v in enumerate(values)]

    def _array(self, array: Any, where: str) -> str:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self.archive.writestr(f"{where}.npy", buffer.getvalue())
        return f"{where}.npy"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _versions() -> dict[str, str]:
    found = {}
    for package in ("gbreg", *(engine.module for engine in ENGINES.values())):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

"""Saving and loading without pickle: one zip with the engines' own model files, arrays, and a JSON description.

The description of an estimator is its class, its parameters and its fitted attributes; what JSON cannot hold stands in it as
``{"$kind": ...}``. An estimator joins the format by being exported from `gbreg.estimators`.
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

from gbreg import estimators
from gbreg._own_classes import not_imported, own_module
from gbreg.calibration import CALIBRATORS, PITCalibrator, SegmentedCalibrator
from gbreg.engines import ENGINES
from gbreg.estimators.base import Savable
from gbreg.estimators.columns import Columns
from gbreg.losses import Loss, loss_from_json

FORMAT = 2
_READ = (1, 2)  # 1, before columns as ranks, is read as it is
DESCRIPTION = "gbreg.json"
_CALIBRATORS: tuple[type, ...] = (*CALIBRATORS.values(), SegmentedCalibrator, PITCalibrator)
ESTIMATORS: dict[str, type] = {name: getattr(estimators, name) for name in estimators.__all__} | {
    cls.__name__: cls for cls in _CALIBRATORS
}
# Prediction does without them: what cannot be written of these is replaced by the default.
_DISPENSABLE = ("eval_metric", "random_state", "cv")


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


def load(path: str | Path) -> Any:
    """The estimator that `save` wrote; predicts bit for bit the same.

    Nothing in the file is executed or imported. A loss or estimator of your own is found by name among the classes imported
    so far.

    Raises
    ------
    ValueError
        If the file was not written by `save`, or by a gbreg of another format; or if it needs a class of your own, with the
        module to import.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(archive.read(DESCRIPTION))
            files = {name: archive.read(name) for name in archive.namelist() if name != DESCRIPTION}
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"load: {str(path)!r} is not a file written by gbreg's save ({error})") from error
    if description["format"] not in _READ:
        raise ValueError(
            f"load: {str(path)!r} has format {description['format']}, this gbreg reads up to {FORMAT}: install the gbreg "
            f"that wrote it ({description['versions'].get('gbreg')})"
        )
    try:
        return _Reader(files).estimator(description)
    except ValueError as error:
        raise ValueError(f"load: {str(path)!r}: {error}") from error


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
        if isinstance(value, np.ndarray):
            return {"$strings": value.tolist()} if value.dtype == object else {"$array": self._array(value, where)}
        if isinstance(value, Loss):
            return {"$loss": value.to_json()}
        if isinstance(value, Columns):
            return {"$columns": value.to_json()}
        if isinstance(value, (Savable, *_CALIBRATORS)):
            return {"$estimator": self.estimator(value, f"{where}/")}
        engine = type(value).__module__.split(".")[0]
        if engine in ENGINES:
            name = f"{where}/{ENGINES[engine].model_file}"
            self.archive.writestr(name, ENGINES[engine].to_bytes(value))
            return {"$booster": [engine, name]}
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


class _Reader:
    """The reverse of `_Writer`."""

    def __init__(self, files: dict[str, bytes]):
        self.files = files

    def estimator(self, described: dict[str, Any]) -> Any:
        cls = _class_of(described["estimator"], described.get("module"))
        model = cls(**{k: self.value(v) for k, v in described["parameters"].items()})
        for name, value in described["fitted"].items():
            setattr(model, name, self.value(value))
        return model

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if not isinstance(value, dict):
            return value
        if not (len(value) == 1 and next(iter(value)).startswith("$")):
            return {k: self.value(v) for k, v in value.items()}
        ((kind, held),) = value.items()
        if kind == "$tuple":
            return tuple(self.value(v) for v in held)
        if kind == "$strings":
            return np.array(held, dtype=object)
        if kind == "$array":
            return np.load(io.BytesIO(self.files[held]), allow_pickle=False)
        if kind == "$loss":
            return loss_from_json(held)
        if kind == "$columns":
            return Columns.from_json(held)
        if kind == "$estimator":
            return self.estimator(held)
        engine, name = held
        return ENGINES[engine].from_bytes(self.files[name])


def _class_of(name: str, module: str | None) -> Any:
    """The class of an estimator; one of your own is found where it has been imported."""
    if module is None:
        return ESTIMATORS[name]
    waiting: list[type] = [Savable, *_CALIBRATORS]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__name__ == name and own_module(cls):
            return cls
    raise ValueError(not_imported(f"estimator {name!r}", module))


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

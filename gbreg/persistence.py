"""Saving and loading without pickle: one zip with the engine's own model file and a JSON description."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from gbreg.engines import get_engine
from gbreg.estimators.columns import Columns
from gbreg.estimators.regressor import GBRegressor
from gbreg.losses import Loss, loss_from_json

FORMAT = 1
ESTIMATORS = {cls.__name__: cls for cls in (GBRegressor,)}


def save(model: GBRegressor, path: str | Path) -> None:
    """Write a fitted estimator to `path`: first to a temporary file beside it, then renamed over it."""
    description = describe(model)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"save: folder {str(path.parent)!r} does not exist: create it first")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("gbreg.json", json.dumps(description, indent=1))
                if model.booster_ is not None:
                    engine = get_engine(model.engine)
                    archive.writestr(engine.model_file, engine.to_bytes(model.booster_))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def describe(model: GBRegressor) -> dict[str, Any]:
    """Everything about a fitted estimator but the booster, as plain JSON values."""
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "loss_")
    parameters = model.get_params(deep=False)
    parameters["loss"] = _without_state(model.loss)
    if not isinstance(parameters["eval_metric"], str):
        parameters["eval_metric"] = "loss"  # a function cannot be saved, and prediction does not need it
    if not isinstance(parameters["random_state"], int):
        parameters["random_state"] = None
    try:
        json.dumps(parameters["engine_params"])
    except TypeError as error:
        raise TypeError(f"save: engine_params must hold plain JSON values: {error}") from error
    names = getattr(model, "feature_names_in_", None)
    return {
        "format": FORMAT,
        "estimator": type(model).__name__,
        "parameters": parameters,
        "loss": model.loss_.to_json(),
        "columns": model._columns.to_json(),
        "native": model.native_,
        "best_iteration": model.best_iteration_,
        "evals_result": model.evals_result_,
        "n_features_in": model.n_features_in_,
        "feature_names_in": None if names is None else list(names),
        "versions": {name: _version(name) for name in ("gbreg", get_engine(model.engine).module)},
    }


def _without_state(loss: str | Loss) -> Any:
    return loss if isinstance(loss, str) else {**loss.to_json(), "state": {}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def load(path: str | Path) -> GBRegressor:
    """The estimator that `save` wrote; predicts bit for bit the same.

    Nothing in the file is executed. A loss of your own is found by name among the classes imported so far.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(archive.read("gbreg.json"))
            files = {name: archive.read(name) for name in archive.namelist() if name != "gbreg.json"}
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"load: {str(path)!r} is not a file written by gbreg's save ({error})") from error
    if description["format"] != FORMAT:
        raise ValueError(
            f"load: {str(path)!r} has format {description['format']}, this gbreg reads {FORMAT}: install the gbreg "
            f"that wrote it ({description['versions'].get('gbreg')})"
        )
    parameters = description["parameters"]
    if not isinstance(parameters["loss"], str):
        parameters["loss"] = loss_from_json(parameters["loss"])
    model = ESTIMATORS[description["estimator"]](**parameters)
    model.loss_ = loss_from_json(description["loss"])
    model._columns = Columns.from_json(description["columns"])
    model.native_ = description["native"]
    model.best_iteration_ = description["best_iteration"]
    model.evals_result_ = description["evals_result"]
    model.n_features_in_ = description["n_features_in"]
    if description["feature_names_in"] is not None:
        model.feature_names_in_ = np.array(description["feature_names_in"], dtype=object)
    engine = get_engine(model.engine)
    model.booster_ = engine.from_bytes(files[engine.model_file]) if engine.model_file in files else None
    return model

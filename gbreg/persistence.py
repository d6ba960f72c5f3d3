"""Models in files: `save`, `load`, `check_savable`."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from gbreg import estimators
from gbreg._archive import CALIBRATOR_CLASSES, DESCRIPTION, FORMAT, Savable, check_savable, save
from gbreg._columns import Columns
from gbreg._own_classes import not_imported, own_module
from gbreg.engines import ENGINES
from gbreg.losses import loss_from_json

_READ = (1, 2)  # 1, before columns as ranks, is read as it is
ESTIMATORS: dict[str, type] = {name: getattr(estimators, name) for name in estimators.__all__} | {
    cls.__name__: cls for cls in CALIBRATOR_CLASSES
}


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
        if kind == "$pairs":
            return {self.value(k): self.value(v) for k, v in held}
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
    waiting: list[type] = [Savable, *CALIBRATOR_CLASSES]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__name__ == name and own_module(cls):
            return cls
    raise ValueError(not_imported(f"estimator {name!r}", module))


__all__ = ["check_savable", "load", "save"]

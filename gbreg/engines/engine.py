"""What every engine answers: the one interface behind which a booster's own ways stay."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from gbreg._checks import Floats
from gbreg.engines.callables.bare import CheckedObjective, Evaluation
from gbreg.engines.constraints import Monotone
from gbreg.engines.monitor import MetricLike
from gbreg.engines.native import keeps_digits
from gbreg.engines.packages import package
from gbreg.engines.parameters import own_parameters
from gbreg.engines.rows import Features, Singles
from gbreg.engines.task import Task, Trained
from gbreg.engines.threads import thread_count
from gbreg.engines.trees import TreeParameters
from gbreg.losses.base import Loss
from gbreg.losses.native import NativeForm


class Engine(ABC):
    """The one place that knows a booster's call, shapes, dtypes, sign conventions, native objectives and files."""

    name: ClassVar[str]
    module: ClassVar[str]
    model_file: ClassVar[str]
    # By the engine's first names: what gbreg sets itself, with what to use instead, and what its own code reads as a
    # parameter of trees.
    reserved: ClassVar[Mapping[str, str]]
    shared: ClassVar[Mapping[str, str]]
    # The engine's own objectives, by name of form.
    native: ClassVar[Mapping[str, str]]
    # What the booster's own `train` takes ("native"), and its scikit-learn wrapper ("sklearn"). Metrics are made from one,
    # the loss that decodes its scores or None, and whether these are complete.
    objectives: ClassVar[Mapping[str, Callable[[CheckedObjective], Any]]]
    metrics: ClassVar[Mapping[str, Callable[[Loss | MetricLike, Loss | None, bool], Evaluation]]]

    @classmethod
    def package(cls) -> ModuleType:
        """The booster's own Python package, imported now; `ImportError` names the extra that brings it."""
        return package(cls.module)

    @abstractmethod
    def names(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        """Every name of a parameter that the engine takes, those of the same parameter with the same first name."""

    @abstractmethod
    def check_own(self, own: Mapping[str, Any]) -> None:
        """`ValueError` for values, under first names, with which the engine cannot train what gbreg asks for."""

    def own(self, engine_params: Mapping[str, Any] | None) -> dict[str, Any]:
        """`engine_params` under the engine's first names.

        Raises
        ------
        ValueError
            For names that the engine does not know, two names of one parameter, and what gbreg sets itself or the engine
            cannot do for it.
        """
        own = own_parameters(self.name, engine_params, self.names(engine_params or {}), self.reserved)
        self.check_own(own)
        return own

    def settled(self, parameters: TreeParameters) -> TreeParameters:
        """Parameters whose `engine_params` are `own`, and tell in the common ones what gbreg reads there."""
        own = self.own(parameters.engine_params)
        told = {field: own[name] for name, field in self.shared.items() if name in own}
        if told.get("n_threads", 1) <= 0:  # the engines' word for all cores
            told["n_threads"] = thread_count(-1)
        return replace(parameters, **told, engine_params=own)

    def native_parameters(self, form: NativeForm) -> dict[str, Any] | None:
        """This engine's objective parameters for that form, or None if it lacks it or labels would lose their digits."""
        return self.own_objective(form) if form.name in self.native and keeps_digits(form) else None

    @abstractmethod
    def own_objective(self, form: NativeForm) -> dict[str, Any]:
        """Its parameters for a form that is in `native`."""

    def stored(self, values: Floats) -> Floats | Singles:
        """What this engine makes of a feature's numbers."""
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def keeps_constraints(self, form: NativeForm) -> bool:
        """Whether the engine's own form of a loss takes monotone constraints, and keeps to them."""
        return True

    @abstractmethod
    def admits(self, form: NativeForm, own: Mapping[str, Any], weight: Floats | None) -> bool:
        """Whether that built-in form keeps the promises: no round raises the training loss, and no unit matters.

        `own` is `engine_params` under the engine's first names, with the learning rate; `weight` is that of the rows.
        """

    def train(self, task: Task) -> Trained:
        """Train; loss and monitor of the task stay as they are."""
        task = task.apart()
        monitor, booster = task.monitor, self.boost(task)
        if monitor.keep == 0:
            booster = None
        rounds = 0 if booster is None else self.rounds(booster)
        task.loss.settle(rounds)
        return Trained(booster, rounds, monitor.rounds, monitor.history, task.loss)

    @abstractmethod
    def boost(self, task: Task) -> Any:
        """A booster whose own raw prediction is complete, cut to the rounds the monitor keeps."""

    @abstractmethod
    def predict_raw(self, booster: Any, X: Features, n_threads: int = 1) -> Floats:
        """Complete raw scores, shape (n_samples,)."""

    @abstractmethod
    def own_matrix(self, X: Features) -> Any:
        """The features as the booster's own ``predict`` and explanations take them."""

    @abstractmethod
    def rounds(self, booster: Any) -> int:
        """Boosting rounds in the model."""

    @abstractmethod
    def feature_importances(self, booster: Any) -> Floats:
        """Total gain of every feature, summing to 1 (all 0 if nothing was split)."""

    @abstractmethod
    def to_bytes(self, booster: Any) -> bytes:
        """The engine's own model file."""

    @abstractmethod
    def from_bytes(self, data: bytes) -> Any:
        """The booster of a model file."""

    def monotone(self, given: Mapping[Any, int] | None, engine_params: Mapping[str, Any] | None) -> Monotone:
        """Along which features predictions are to rise or to fall, by `monotone` or `engine_params` under any of its names.

        Raises
        ------
        ValueError
            Where both say so, and for what is not allowed in `engine_params`.
        """
        own = self.own(engine_params).get("monotone_constraints") if engine_params else None
        if given and own is not None:
            raise ValueError(
                f"monotone={given!r} and engine_params' monotone_constraints={own!r} are one thing: give monotone= alone"
            )
        return Monotone(own) if own is not None else Monotone(given, "monotone")


def normalised(gains: Any) -> Floats:
    gains = np.asarray(gains, dtype=np.float64)
    total = gains.sum()
    return gains / total if total > 0 else np.zeros_like(gains)

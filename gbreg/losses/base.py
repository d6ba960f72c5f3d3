"""What every loss is: a formula with parameters, a domain, an intercept and a decoding."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from gbreg._checks import Floats, as_numbers, check_inside, check_one_dimensional, require
from gbreg._own_classes import own_module
from gbreg.links import REALS, Interval, Link
from gbreg.losses.native import NativeForm
from gbreg.losses.ranges import SearchSpace

# The names of gbreg's own classes, which no class of the user's may take: it would stand for them in saved models too.
BUILT_IN: set[str] = set()


class Loss(BaseEstimator, ABC):  # type: ignore[misc]
    """A formula over (y, raw score) with parameters, a domain, an intercept and a decoding; learns from labels only.

    Attributes
    ----------
    name : str
        Snake case of the class name; what `get_loss` and the command line call it.
    y_domain, mu_domain : Interval
        The labels and predictions for which the formula holds.
    family : str
        What kind of loss it is: leaderboards are grouped by it.
    functional : str
        What the best constant prediction is.
    parameter_domains : dict of str to Interval
        Allowed values of the numeric parameters.
    search_space : dict of str to Uniform, LogUniform, Integers or Choice
        Where tuning looks; after `fit`, ranges in the unit of the target too.
    intercept_ : ndarray of shape (n_outputs,)
        Raw score of the best constant (after `fit`).
    hessian_scale_ : float, or ndarray of shape (n_outputs,)
        Mean curvature at the intercept with C = 1; gradient and Hessian are divided by it for the engines.
    constant_ : float or None
        The label, if all labels of positive weight are equal.
    """

    name: ClassVar[str] = ""
    y_domain: Interval = REALS
    mu_domain: ClassVar[Interval] = REALS
    family: ClassVar[str] = "pointwise"
    functional: ClassVar[str] = ""
    parameter_domains: ClassVar[Mapping[str, Interval]] = {}
    search_space: SearchSpace = {}
    way_out: ClassVar[str] = "drop them, or use a loss whose domain holds them"
    n_outputs: int = 1
    decodes_with_residuals: bool = False
    refines: bool = False

    intercept_: Floats
    hessian_scale_: float | Floats
    constant_: float | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if not own_module(cls):
            BUILT_IN.add(cls.name)
        elif cls.name in BUILT_IN:
            raise TypeError(
                f"class {cls.__name__}: gbreg has a loss {cls.name!r}, and get_loss and saved models go by that name: call "
                f"yours something else, such as My{cls.__name__}"
            )

    @abstractmethod
    def fit(self, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...

    @abstractmethod
    def value(self, y: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> Floats: ...

    @abstractmethod
    def gradient_hessian(
        self,
        y: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        hessian: str = "safe",
    ) -> tuple[Floats, Floats]: ...

    @abstractmethod
    def predict(self, raw_prediction: ArrayLike) -> Floats: ...

    def native_form(self) -> NativeForm | None:
        """The built-in objective that trains this loss, with these parameters; None if only the kernel does."""
        return None

    def fit_decoder(self, y: Floats, raw_prediction: Floats, sample_weight: Floats) -> None:
        """Learn what decoding needs from training labels and scores, for losses that set `decodes_with_residuals`."""

    def refine(self, y: Any, raw_prediction: Any, sample_weight: Any, n_rounds: int) -> bool:
        """Learn from the training scores after `n_rounds` rounds, for losses that set `refines`; True if that changed it.

        Engines that hand over all scores at once (LightGBM, XGBoost) call it before every round's gradients.
        """
        return False

    def settle(self, n_rounds: int) -> None:
        """Go back to what was learnt from scores by the last of a model's `n_rounds` rounds."""

    @property
    def scale_equivariant(self) -> bool:
        """Whether fitting on c * y gives c times the predictions."""
        return False

    @property
    def ordered(self) -> str | None:
        """What never falls where no raw score falls: all that a "distribution" says, the "mean" alone, or nothing (None).

        Engines keep monotone constraints in every raw score; after `fit`, this says what that is worth.
        """
        return None

    def check_parameters(self) -> None:
        """Raise `ValueError` for the first parameter outside its domain."""
        for name, domain in self.parameter_domains.items():
            got = getattr(self, name)
            if isinstance(got, bool) or not isinstance(got, (int, float, np.number)) or not domain.contains(got):
                raise ValueError(f"{type(self).__name__}: {name}={got!r} is not a number in {domain}")

    def check_labels(self, y: ArrayLike) -> Floats:
        """Labels as float64 of shape (n,); `ValueError` says how many are outside the domain, and the way out."""
        who = type(self).__name__
        y = as_numbers(y, f"{who}: y")
        check_one_dimensional(y, f"{who}: y", empty=False)
        require(np.isfinite(y), f"{who}: y", "finite (no NaN, no inf)", "drop or fill those rows")
        check_inside(y, self.y_domain, who, self.way_out)
        return y

    def to_json(self) -> dict[str, Any]:
        """Name, parameters and fitted state as plain JSON values; `loss_from_json` reverses it exactly.

        A class of one's own is written with the module that defines it, which is never imported by itself.
        """
        state = {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}
        return {
            "loss": self.name,
            **own_module(type(self)),
            "parameters": {k: _plain(v) for k, v in self.get_params(deep=False).items()},
            "state": {k: _plain(v) for k, v in state.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over the fitted state that `to_json` wrote."""
        for key, value in state.items():
            setattr(self, key, np.array(value, dtype=np.float64) if isinstance(value, list) else value)


def _plain(value: Any) -> Any:
    if isinstance(value, Link):
        return value.to_json()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def fitted(loss: Loss) -> Loss:
    """The loss itself, or `NotFittedError`."""
    if not (hasattr(loss, "intercept_") and hasattr(loss, "hessian_scale_")):
        raise NotFittedError(
            f"{loss!r} is not fitted: call loss.fit(y, sample_weight) with the training labels first. Its loss.intercept_, "
            "the raw score of the best constant, is where training starts, and belongs to every raw score"
        )
    return loss

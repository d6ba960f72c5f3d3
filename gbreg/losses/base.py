"""What every loss shares: domains, fitting to labels, kernels, JSON, and the registry of names."""

from __future__ import annotations

import difflib
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from gbreg import kernels
from gbreg.links import REALS, Interval, Link, get_link

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Uniform:
    """A search range on a linear scale."""

    low: float
    high: float


@dataclass(frozen=True)
class LogUniform:
    """A search range on a log scale."""

    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """A search over a few values."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class Integers:
    """A search over whole numbers, on a log scale, both ends included."""

    low: int
    high: int


SearchSpace = Mapping[str, Uniform | LogUniform | Choice | Integers]


def labels_as_given(y: Floats) -> tuple[Floats, Floats | None]:
    """What most native objectives train on: y itself, and weights as they are."""
    return y, None


@dataclass(frozen=True)
class NativeForm:
    """The engine-neutral name under which a booster may have this loss built in.

    Parameters
    ----------
    name : str
        For example "squared_error", "huber" or "tweedie"; each engine maps it to its own objective, if it has one.
    parameters : dict
        For example ``{"delta": 1.0}``.
    curvature : float or None
        The objective's own Hessian, where it is one number for all rows; None where it follows the loss's.
    labels : function of y
        Gives the labels that the engine trains on, shape (n_samples,) or (n_samples, n_outputs), and what the rows'
        weights are multiplied by, or None.
    """

    name: str
    parameters: dict[str, float | int] = field(default_factory=dict)
    curvature: float | None = None
    labels: Callable[[Floats], tuple[Floats, Floats | None]] = labels_as_given


def weighted_quantile(y: Floats, q: float, sample_weight: Floats) -> float:
    """The smallest label at which the weight to its left reaches q: an integer weight equals repetition."""
    return float(np.quantile(y, q, weights=sample_weight, method="inverted_cdf"))


def label_scale(y: Floats, sample_weight: Floats) -> float:
    """Weighted median absolute deviation; if 0, the weighted mean of abs(y - median); if that is 0 too, 1."""
    deviation = np.abs(y - weighted_quantile(y, 0.5, sample_weight))
    mad = weighted_quantile(deviation, 0.5, sample_weight)
    return mad or float(np.average(deviation, weights=sample_weight)) or 1.0


def as_numbers(values: ArrayLike, name: str) -> Floats:
    """Values as float64; `ValueError` for what is no number, times and durations included."""
    given = np.asarray(values)
    refuse_times(given, name)
    try:
        return given.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from error


def refuse_times(values: NDArray[Any], name: str) -> None:
    """Raise `ValueError` for datetime64 and timedelta64, which numpy would turn into counts of their unit without a word."""
    if values.dtype.kind == "m":
        raise ValueError(
            f"{name} holds durations ({values.dtype}), which have no unit of their own: divide them by one, such as "
            f"np.timedelta64(1, 's')"
        )
    if values.dtype.kind == "M":
        raise ValueError(f"{name} holds dates ({values.dtype}): turn them into numbers, such as days since the first")


def check_sample_weight(sample_weight: ArrayLike | None, n: int, name: str = "sample_weight") -> Floats:
    """Weights as float64 of shape (n,), ones for None; `ValueError` if NaN, inf, negative, all zero or misshapen."""
    if sample_weight is None:
        return np.ones(n)
    weight = as_numbers(sample_weight, name)
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        raise ValueError(f"{name} has shape {weight.shape}, y has {n:,} rows: give one weight per row")
    _require(np.isfinite(weight), name, "finite", "drop those rows or give them weight 0")
    _require(weight >= 0, name, ">= 0", "a row that should not count has weight 0")
    if n and not weight.any():
        raise ValueError(f"{name} is all zero: at least one row needs a positive weight")
    return weight


def _require(holds: NDArray[np.bool_], name: str, wanted: str, way_out: str) -> None:
    if not holds.all():
        wrong = np.flatnonzero(~holds)
        raise ValueError(
            f"{name} must be {wanted}; {wrong.size:,} of {holds.size:,} values are not (first at row {wrong[0]}): {way_out}"
        )


def check_inside(y: Floats, domain: Interval, who: str, way_out: str) -> None:
    """Raise `ValueError` for labels outside the domain, with their count, the first of them and the way out."""
    inside = domain.contains(y)
    if not inside.all():
        wrong = np.flatnonzero(~inside)
        raise ValueError(
            f"{who} needs y in {domain}; {wrong.size:,} of {y.size:,} labels are not "
            f"(first at row {wrong[0]}: {y[wrong[0]]:g}): {way_out}"
        )


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
        if y.ndim != 1 or y.size == 0:
            raise ValueError(f"{who}: y must be one-dimensional and not empty, got shape {y.shape}")
        _require(np.isfinite(y), f"{who}: y", "finite (no NaN, no inf)", "drop or fill those rows")
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

    def _restore(self, state: Mapping[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, np.array(value, dtype=np.float64) if isinstance(value, list) else value)


def known_losses() -> dict[str, type[Loss]]:
    """Every concrete loss class defined so far, by name: the built-in ones and the user's own."""
    found: dict[str, type[Loss]] = {}
    waiting: list[Any] = [Loss]
    while waiting:
        cls = waiting.pop(0)
        waiting += cls.__subclasses__()
        if not inspect.isabstract(cls):
            found[cls.name] = cls
    return found


def own_module(cls: type) -> dict[str, str]:
    """The module of a class that is not gbreg's, as files keep it."""
    return {} if cls.__module__.split(".")[0] == "gbreg" else {"module": cls.__module__}


def not_imported(what: str, module: str) -> str:
    """What to say where a file needs a class that is not there."""
    if module == "__main__":
        way_out = "a script or notebook defined it: define it again, or put it into a module and import that"
    else:
        way_out = f"import {module} first, which defines it"
    return f"{what} is a class of your own, which is not there: {way_out}"


def _plain(value: Any) -> Any:
    if isinstance(value, Link):
        return value.to_json()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def get_loss(loss: str | Loss, **parameters: Any) -> Loss:
    """The loss of that name with these parameters, or the instance as it is.

    >>> get_loss("huberpp", delta=0.3)
    Huberpp(delta=0.3)
    """
    if isinstance(loss, Loss):
        return loss.set_params(**parameters) if parameters else loss
    return _known(loss)(**parameters)


# What other libraries call losses that are built in here.
ELSEWHERE = dict.fromkeys(("mse", "rmse", "l2", "regression"), "squared_error") | dict.fromkeys(
    ("mae", "l1", "regression_l1"), "absolute_error"
)


def _known(name: Any) -> type[Loss]:
    known = known_losses()
    if name in known:
        return known[name]
    asked = str(name).lower()
    near = difflib.get_close_matches(ELSEWHERE.get(asked, asked), known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"loss={name!r} is not known: {hint}Known are {', '.join(sorted(known))}. "
        "Your own loss is known once the module that defines its class has been imported"
    )


def loss_from_json(data: Mapping[str, Any]) -> Loss:
    """Rebuild a loss, fitted or not, from `Loss.to_json`; `ValueError` where its class has not been imported."""
    module, found = data.get("module"), known_losses().get(data["loss"])
    if module is not None and (found is None or not own_module(found)):
        raise ValueError(not_imported(f"loss {data['loss']!r}", module))
    parameters = {k: get_link(v) if isinstance(v, dict) and "link" in v else v for k, v in data["parameters"].items()}
    loss = _known(data["loss"])(**parameters)
    loss._restore(data["state"])
    return loss


class PointwiseLoss(Loss):
    """A loss with one output, given by scalar functions of one row. Subclasses write these as static methods.

    ``row_value(y, mu, ...)``
        The loss.
    ``row_derivatives(y, mu, ...)``
        Its first and second derivative with respect to mu, as a tuple.
    ``row_minimizer(y, ...)``, optional
        The mu at which the row's loss is least, where that is not y.
    ``row_information(y, mu, ...)``, optional
        The expected second derivative (Fisher information), for ``hessian="expected"``.

    The further arguments are parameters of the loss, matched by name to its attributes. ``coordinate`` says what the
    second argument is: "mu"; "log_mu", for losses on the log link only (the logarithm of mu is finite where mu under- or
    overflows); or "raw", and then the first argument is ``link(y)``.
    """

    coordinate: str = "mu"
    row_minimizer: Any = None
    row_information: Any = None
    unit_free: bool = True
    link: str | Link = "identity"
    label_rescale: list[tuple[float, float]] | None = None

    raw_size_: float
    hessian_scale_: float
    ordered: str | None = "distribution"  # the prediction, by an increasing link

    if TYPE_CHECKING:  # subclasses spell out their own further arguments
        row_value: Any
        row_derivatives: Any
    else:

        @staticmethod
        @abstractmethod
        def row_value(y: float, mu: float, *parameters: float) -> float: ...

        @staticmethod
        @abstractmethod
        def row_derivatives(y: float, mu: float, *parameters: float) -> tuple[float, float]: ...

    @property
    def link_(self) -> Link:
        """The link instance that the parameter `link` names."""
        return get_link(self.link)

    @property
    def scale_equivariant(self) -> bool:
        return self.unit_free and self.link_.scale_equivariant

    def kernel_parameters(self) -> dict[str, float]:
        """The numbers behind the scalar functions' further arguments; overridden where a fitted one stands in."""
        names = list(inspect.signature(self.row_value).parameters)[2:]
        return {name: float(getattr(self, name)) for name in names}

    def check_parameters(self) -> None:
        super().check_parameters()
        link, who = self.link_, type(self).__name__
        if not link.range.within(self.mu_domain):
            raise ValueError(
                f"{who} needs predictions in {self.mu_domain}, link={link.name!r} gives {link.range}: use link='log'"
            )
        if self.label_rescale is not None:
            edges, factors = np.array(self.label_rescale, dtype=np.float64).reshape(-1, 2).T
            if not (np.diff(edges) > 0).all() or not (factors > 0).all() or not np.isfinite(factors).all():
                raise ValueError(
                    f"{who}: label_rescale={self.label_rescale!r} must list (edge, factor) pairs with increasing edges "
                    "and positive factors; rows with y >= edge take the factor of the last such edge"
                )

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        """The mu that minimises the weighted sum of the loss: here a bracketed root of its gradient."""
        link, arguments, spec = self.link_, self.arguments(), self.spec()
        used = y[sample_weight > 0]
        low, high = kernels.map_scalar(link.link, np.array([used.min(), used.max()]), link.parameters)
        if spec.minimizer is not None:
            ends = kernels.map_scalar(spec.minimizer, np.array([used.min(), used.max()]), self._own(arguments))
            low, high = kernels.map_scalar(link.link, ends, link.parameters)
        if not np.isfinite(low):  # a label of 0 under a log: nothing below the smallest positive one can be best
            positive = used[used > 0]
            if positive.size == 0:
                return 0.0
            low = kernels.map_scalar(link.link, positive.min(keepdims=True), link.parameters)[0] - 50.0
        if low == high:
            return float(kernels.map_scalar(link.inverse, np.array([low]), link.parameters)[0])
        at, gradient, hess = np.empty_like(y), np.empty_like(y), np.empty_like(y)
        run = kernels.Pass(spec, arguments)

        def balance(raw: float) -> float:
            """Sum of gradients over the sum of their magnitudes: the same root, and never out of range."""
            at.fill(raw)
            run(y, at, sample_weight, (gradient, hess))
            size = float(np.abs(gradient).sum())
            return float(gradient.sum()) / size if size > 0 else 0.0

        if balance(low) >= 0:
            root = low
        elif balance(high) <= 0:
            root = high
        else:
            root = brentq(balance, low, high, xtol=1e-15 * max(abs(low), abs(high), high - low), rtol=1e-14, maxiter=500)
        return float(kernels.map_scalar(link.inverse, np.array([root]), link.parameters)[0])

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        """Set what parameters are relative to (a MAD, a smoothing width) before the intercept is found."""

    def fit(self, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn intercept and scales from the labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels in the unit of the target, inside `y_domain`.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative; an integer weight equals repetition.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For labels or weights that are not allowed, and where the link cannot express the best constant.
        """
        self.check_parameters()
        y = self.check_labels(y)
        weight = check_sample_weight(sample_weight, y.size)
        used = y[weight > 0]
        self.constant_ = float(used[0]) if (used == used[0]).all() else None
        self.learn_scales(y, weight)
        link = self.link_
        best = self.best_constant(y, weight) if self.constant_ is None else self.constant_
        intercept = kernels.map_scalar(link.link, np.array([best]), link.parameters)
        if not np.isfinite(intercept[0]) and self.constant_ is None:
            raise ValueError(
                f"{type(self).__name__}: the best constant for these labels is {best:g}, which link={link.name!r} cannot "
                f"express (it gives {link.range}): use link='identity'"
            )
        self.intercept_ = intercept
        self.raw_size_ = self._typical_size(y, weight)
        self.hessian_scale_ = self._mean_curvature(y, weight) if self.constant_ is None else 1.0
        return self

    def _typical_size(self, y: Floats, sample_weight: Floats) -> float:
        """A typical distance of raw scores from 0: the intercept's, or the labels' mean, whichever is larger."""
        size = np.abs(self.to_raw(y))
        known = np.isfinite(size) & (sample_weight > 0)
        mean = float(np.average(size[known], weights=sample_weight[known])) if known.any() else 0.0
        return max(abs(float(self.intercept_[0])), mean)

    def slopes(self) -> tuple[float, float]:
        """How steep the loss is above and below the label, relative to each other."""
        return 1.0, 1.0

    def step_bounds(self, learning_rate: float = 0.1) -> kernels.StepBounds:
        """What the safe curvature needs to know of a round's steps."""
        limit, ahead = np.inf, 0.0
        if self.coordinate != "raw":
            limit, ahead = self.link_.step_bounds(self.raw_size_, learning_rate)
        # A step of rate * (gradient / h) descends while rate * (true curvature) < 2h. A row that may cross its label to
        # a steeper side needs h of at least rate / 2 of that side's curvature.
        over, under = self.slopes()
        return kernels.StepBounds(
            limit,
            ahead,
            learning_rate,
            max(1.0, 0.5 * learning_rate * under / over),
            max(1.0, 0.5 * learning_rate * over / under),
        )

    def _mean_curvature(self, y: Floats, sample_weight: Floats) -> float:
        """Weighted curvature at the intercept with C = 1, summed and divided by the number of rows that count."""
        unit = self.arguments(C=1.0)
        gradient, hess = np.empty_like(y), np.empty_like(y)
        start = np.full_like(y, self.intercept_[0])
        kernels.Pass(self.spec(), unit, step=self.step_bounds())(y, start, sample_weight, (gradient, hess))
        scale = float(hess.sum()) / int((sample_weight > 0).sum())
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(
                f"{type(self).__name__}: the labels' range ({y.min():g} to {y.max():g}) is beyond double precision "
                f"for this loss (mean curvature {scale}): rescale the target"
            )
        return scale

    def spec(self) -> kernels.PointwiseSpec:
        """What is compiled for this loss; the same for every value of its parameters."""
        link = self.link_
        return kernels.PointwiseSpec(
            value=self.row_value,
            derivatives=self.row_derivatives,
            coordinate=self.coordinate,
            link=type(link),
            minimizer=self.row_minimizer,
            expected=self.row_information,
            n_parameters=len(self.kernel_parameters()),
            n_link_parameters=len(link.parameters),
            rescaled=self.label_rescale is not None,
        )

    def arguments(self, **replaced: float) -> kernels.Arguments:
        """The run-time numbers of the kernel, with some parameters replaced where the loss has them."""
        own = self.kernel_parameters()
        own |= {k: v for k, v in replaced.items() if k in own}
        pairs = np.array(self.label_rescale or np.empty((0, 2)), dtype=np.float64)
        return kernels.Arguments(
            parameters=np.array([*own.values(), *self.link_.parameters], dtype=np.float64),
            edges=np.ascontiguousarray(pairs[:, 0]),
            factors=np.ascontiguousarray(pairs[:, 1]),
        )

    def _own(self, arguments: kernels.Arguments) -> tuple[float, ...]:
        n = len(self.kernel_parameters())
        return tuple(arguments.parameters[:n])

    def value(self, y: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> Floats:
        """The loss of every row, times its weight.

        Parameters
        ----------
        y, raw_prediction : array-like of shape (n_samples,)
            Labels, and complete raw scores (the intercept included).
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        y, raw = _rows(y, raw_prediction)
        out = kernels.value(self.spec(), self.arguments(), y, raw)
        return out if sample_weight is None else out * check_sample_weight(sample_weight, y.size)

    def gradient_hessian(
        self,
        y: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        hessian: str = "safe",
    ) -> tuple[Floats, Floats]:
        """First and second derivative of `value` with respect to the raw score.

        Parameters
        ----------
        y, raw_prediction : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
        hessian : {"safe", "exact", "expected"}
            "safe" is the positive curvature under which boosting descends, "exact" the second derivative, "expected"
            the Fisher information of a likelihood.

        Returns
        -------
        gradient, hessian : two ndarrays of shape (n_samples,), not divided by `hessian_scale_`
        """
        y, raw = _rows(y, raw_prediction)
        weight = check_sample_weight(sample_weight, y.size)
        out = np.empty_like(y), np.empty_like(y)
        if hessian == "safe":
            fitted(self)  # its bounds are in units of the labels
        step = self.step_bounds() if hessian == "safe" else kernels.FREE
        kernels.Pass(self.spec(), self.arguments(), hessian=hessian, step=step)(y, raw, weight, out)
        return out

    def predict(self, raw_prediction: ArrayLike) -> Floats:
        """Predictions in the unit of the target from complete raw scores, both of shape (n_samples,)."""
        link = self.link_
        return kernels.map_scalar(link.inverse, np.asarray(raw_prediction), link.parameters)

    def to_raw(self, mu: ArrayLike) -> Floats:
        """``link(mu)`` for an array of shape (n_samples,)."""
        link = self.link_
        return kernels.map_scalar(link.link, np.asarray(mu), link.parameters)

    def bounds(self) -> Interval:
        """The predictions that the link can produce."""
        return self.link_.range


def _rows(y: ArrayLike, raw_prediction: ArrayLike) -> tuple[Floats, Floats]:
    y = np.ascontiguousarray(y, dtype=np.float64)
    raw = np.ascontiguousarray(raw_prediction, dtype=np.float64)
    if y.ndim != 1 or raw.shape != y.shape:
        raise ValueError(f"y has shape {y.shape} and raw_prediction {raw.shape}: both must be (n_samples,)")
    return y, raw


def fitted(loss: Loss) -> Loss:
    """The loss itself, or `NotFittedError`."""
    if not (hasattr(loss, "intercept_") and hasattr(loss, "hessian_scale_")):
        raise NotFittedError(
            f"{loss!r} is not fitted: call loss.fit(y, sample_weight) with the training labels first. Its loss.intercept_, "
            "the raw score of the best constant, is where training starts, and belongs to every raw score"
        )
    return loss

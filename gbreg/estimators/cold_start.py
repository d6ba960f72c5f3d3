"""ColdStartRegressor: a booster for everybody, and boosters for the few that correct it where held-out rows say so."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_consistent_length, get_tags

from gbreg._checks import Floats, check_fitted, check_sample_weight, nearest
from gbreg._columns import check_features, numeric_column, segment_column, take_rows
from gbreg._compat import HasMethods, Interval
from gbreg.estimators.base import BOOSTING_PARAMETERS
from gbreg.estimators.gain import Gate, Part, keep_best, trial_of, untried
from gbreg.estimators.model import Model, labelled
from gbreg.estimators.parts import as_sets, check_unconstrained, fit_part, splits
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.rows import as_labels, check_groups
from gbreg.links import REALS
from gbreg.links import Interval as Domain
from gbreg.losses import get_loss
from gbreg.losses.scales import weighted_quantile
from gbreg.losses.vector import VectorLoss

# What a booster of few rows is given, but for what `local` sets. Measured on worlds with 500 to 4,000 cold rows, where the
# global model's own parameters lose to chance what there is to gain.
LOCAL: Mapping[str, Any] = {
    "n_estimators": 30,
    "learning_rate": 0.1,
    "max_depth": 1,
    "reg_lambda": 10.0,
    "early_stopping_rounds": None,
}
# A gate below this is shut: those rows are the global model's alone.
SHUT = 0.05
# Shares of the rows, those of least activity, at which the candidates for `scale` lie.
_SHARES = (0.02, 0.05, 0.1, 0.2)


class ColdStartRegressor(Model):
    r"""A booster for everybody, and boosters for the few that go on from its raw score and are blended in by a gate.

    .. math:: raw(x) = raw_{global}(x) + g(x) \cdot \frac{n}{n + strength} \cdot raw_{local}(x)

    With `gate` there is one local booster, and g falls with a count of events: ``g = 1 / (1 + (activity / scale)**4)``, and
    0 where that is below 0.05: these rows are predicted by the global model to the last bit. With `segment` every value of
    a column has its own booster, and g is 1 on its rows. Local boosters are trained on rows weighted by g, with the global
    raw score as offset. One is kept only if it lowers the loss of rows that neither it nor their global model saw by more
    than 1.5 standard errors.

    Parameters
    ----------
    estimator : GBRegressor
        With a loss of one output: the global model.
    gate : str, int or None
        A column of activity, by name or index (integers are always indices): counts of events or days, at least 0, small
        for cold rows. Missing ones (NaN) are the global model's. Either this or `segment`.
    segment : str, int or None
        A column of numbers or categories, such as countries or channels. Missing and unseen segments are the global model's.
    scale : float > 0 or None, default None
        The activity at which the gate is half open. None: the best on held-out rows of four, that of the 2%, 5%, 10% and 20%
        of rows with the least activity.
    local : dict or None
        Parameters of boosting of the local boosters, such as ``{"max_depth": 3}``. Others are those of the estimator,
        but for 30 rounds of depth 1, learning rate 0.1, reg_lambda 10, and no early stopping.
    strength : float >= 0, default 100.0
        The rows at which a local booster counts half. n is ``sum(w)**2 / sum(w**2)`` of weights times gate.
    min_rows : int >= 1, default 200
        With fewer rows of an open gate none is tried.
    cv : int, splitter or iterable of (train, test), default 5
        An int is a number of folds, of rows (of groups, if `fit` is given any) drawn at random, the same at each fit.

    Attributes
    ----------
    estimator_ : GBRegressor
        The global model, fitted to all rows.
    locals_ : list of GBRegressor
        The local boosters that are kept; none where the global model predicts all rows.
    shares_ : list of float
        ``n / (n + strength)`` of each.
    values_ : list
        What each is for: the scale of its gate, or its segment.
    trials_ : list of dict
        Every scale, and every segment of enough rows: "value", "rows" of an open gate, "gain" (how much lower the
        mean loss of those rows is, held out, in units of the loss), "error" (its standard error), "kept", and "why" not.
    column_index_ : int
        The column of activity or segments.
    n_features_in_, feature_names_in_

    Notes
    -----
    Of several scales that with the greatest gain less its standard error is kept, among those with which rows of a gate
    below a half lose no more than one. Standard errors take rows of one group together.
    Takes after gates in networks: Dai et al. (2021), "POSO: Personalized Cold Start Modules for Large-scale
    Recommender Systems", arXiv 2108.04690, and PPNet: Chang et al. (2023), "PEPNet", arXiv 2302.01115.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import ColdStartRegressor, GBRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([rng.normal(size=3000), np.where(rng.random(3000) < 0.1, 0, 50)])
    >>> y = np.where(X[:, 1] > 0, X[:, 0], -X[:, 0]) + rng.normal(size=3000)
    >>> model = ColdStartRegressor(GBRegressor(max_leaves=2, n_estimators=30), gate=1, scale=1.0).fit(X, y)
    >>> [trial["kept"] for trial in model.trials_]
    [True]
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "gate": [str, Interval(Integral, 0, None, closed="left"), None],
        "segment": [str, Interval(Integral, 0, None, closed="left"), None],
        "scale": [Interval(Real, 0, None, closed="neither"), None],
        "local": [dict, None],
        "strength": [Interval(Real, 0, None, closed="left")],
        "min_rows": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
    }

    def __init__(
        self,
        estimator: Any,
        gate: str | int | None = None,
        segment: str | int | None = None,
        scale: float | None = None,
        local: dict[str, Any] | None = None,
        strength: float = 100.0,
        min_rows: int = 200,
        cv: Any = 5,
    ):
        self.estimator = estimator
        self.gate = gate
        self.segment = segment
        self.scale = scale
        self.local = local
        self.strength = strength
        self.min_rows = min_rows
        self.cv = cv

    word = "coldstart"
    family = "cold start"

    @classmethod
    def own_parameters(cls) -> list[str]:
        return ["gate", "segment", "loss", "scale", "strength", "min_rows"]

    @classmethod
    def of_word(cls, given: dict[str, Any], read_loss: Callable[[str], Any]) -> Self:
        if ("gate" in given) == ("segment" in given):
            raise ValueError(
                "loss 'coldstart' needs a column of activity or one of segments: name it, as in "
                "coldstart:gate=n_orders,loss=poisson or coldstart:segment=country"
            )
        loss = read_loss(str(given.pop("loss", "squared_error")))
        return cls(GBRegressor(loss), **given)

    def label(self) -> str:
        own = ["gate", "segment", "scale", "strength", "min_rows"]
        return labelled(self.word, self, own) + f",loss={get_loss(self.estimator.loss).name}"

    @property
    def y_domain(self) -> Domain:
        return getattr(self.estimator, "y_domain", REALS)

    def check_labels(self, y: Floats) -> None:
        if isinstance(self.estimator, Model):
            self.estimator.check_labels(y)

    def labels_of(self, part: str, y: Floats) -> Floats:
        return y

    def columnless(self) -> Self:
        return super().columnless().set_params(gate=0, segment=None, scale=1.0, cv=2)  # type: ignore[no-any-return]

    def fitted_boosters(self) -> Iterator[Any]:
        yield from (self.estimator_, *self.locals_)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        groups: ArrayLike | None = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Self:
        """Measure what local boosters gain in every fold, then fit the global model and those that gain to all rows.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            For training, and for what held-out rows gain.
        eval_set : (X, y) or list of them, optional
            Given to the global model, that of each fold too.
        eval_sample_weight : array or list of arrays, optional
        groups : array-like of shape (n_samples,), optional
            What is held out together, such as customers.
        callbacks : list, optional
            Given to the global models.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            For an estimator that is no `GBRegressor` with a loss of one output, and activity that is not numbers.
        ValueError
            For both or none of `gate` and `segment`, a column that is not there, negative activity, a monotone constraint
            along the column, and what the estimator refuses.

        Warns
        -----
        UserWarning
            Where no local booster is kept.
        """
        self._validate_params()
        self._check_parameters()
        X = check_features(self, X, reset=True)
        labels = as_labels(self, y)
        check_consistent_length(X, labels)
        self.check_labels(labels)
        self.column_index_, column = self._column(X)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        sets = as_sets(self, eval_set, eval_sample_weight, partial(as_labels, self))
        rows = Part(X, labels, weight, check_groups(groups, labels.size))

        def fitted(of: Part) -> GBRegressor:
            return fit_part(self.estimator, of.X, of.y, of.weight, sets, callbacks, of.groups)  # type: ignore[no-any-return]

        gates = [self._gate(column, value) for value in self._candidates(column, rows.counts())]
        tried = [gate for gate in gates if gate.at.size >= self.min_rows]
        gained = [np.full(gate.at.size, np.nan) for gate in tried]
        for inside, outside in splits(self.cv, labels.size, labels, rows.groups) if tried else ():
            part = fitted(rows.take(np.arange(labels.size)[inside]))
            for gate, found in zip(tried, gained, strict=True):
                found[gate.among(outside, labels.size)] = self._gain(part, rows, gate, inside, outside)
        told = [trial_of(gate, rows, found) for gate, found in zip(tried, gained, strict=True)]
        self.trials_ = [*(untried(gate, self.min_rows) for gate in gates if gate.at.size < self.min_rows), *told]
        if self.gate is not None:
            keep_best(told)
        self.estimator_ = fitted(rows)
        self.locals_, self.shares_, self.values_ = [], [], []
        for gate in (gate for gate, trial in zip(tried, told, strict=True) if trial["kept"]):
            local = self._local(self.estimator_, rows, gate)
            if local is not None:
                self.locals_.append(local)
                self.shares_.append(self._share(rows, gate))
                self.values_.append(gate.value)
        if not self.locals_:
            warnings.warn(
                "ColdStartRegressor: the global model predicts all rows, for no local booster lowers the loss of held-out "
                "rows by more than 1.5 standard errors (see trials_)",
                stacklevel=2,
            )
        return self

    def _check_parameters(self) -> None:
        wanted = "give a GBRegressor with a loss of one output, such as GBRegressor('poisson') or GBRegressor('tweedie')"
        if not isinstance(self.estimator, GBRegressor):
            raise TypeError(f"estimator={type(self.estimator).__name__}: local boosters go on from one raw score: {wanted}")
        if isinstance(get_loss(self.estimator.loss), VectorLoss):
            raise TypeError(f"estimator: {get_loss(self.estimator.loss)!r} has several outputs: {wanted}")
        if self.estimator.calibration is not None:
            raise ValueError(
                f"estimator: calibration={self.estimator.calibration!r} would know of the global model alone: calibrate the "
                "whole, CalibratedRegressor(ColdStartRegressor(...))"
            )
        if (self.gate is None) == (self.segment is None):
            raise ValueError(
                f"gate={self.gate!r} and segment={self.segment!r}: give one of them, the column of activity or that of "
                "segments"
            )
        for name in self.local or ():
            if name in ("engine", "calibration", "monotone", "engine_params"):
                raise ValueError(f"local={{{name!r}: ...}}: local boosters have the estimator's {name}: set it there")
            if name not in BOOSTING_PARAMETERS:
                raise ValueError(
                    f"local={{{name!r}: ...}} is no parameter of boosting: {nearest(name, BOOSTING_PARAMETERS)}"
                )

    def _column(self, X: Any) -> tuple[int, Any]:
        """Place and values of the column of activity or segments; `ValueError` for what it may not hold."""
        argument, which = ("gate", self.gate) if self.gate is not None else ("segment", self.segment)
        place, values = self._read(X, which)
        self._check_activity(values)
        check_unconstrained(
            self.estimator,
            X,
            place,
            f"{argument}={which!r}: the estimator keeps to a monotone constraint along it, but local boosters are blended "
            "in along that column",
        )
        return place, values

    def _read(self, X: Any, which: Any) -> tuple[int, Any]:
        return segment_column(X, which, "segment") if self.gate is None else numeric_column(X, which, "gate")

    def _check_activity(self, values: Any) -> None:
        if self.gate is not None and (values < 0).any():
            first = int(np.flatnonzero(values < 0)[0])
            raise ValueError(
                f"gate={self.gate!r}: activity must be at least 0, got {values[first]:g} (first at row {first}): count "
                "events or days; NaN is a missing one"
            )

    def _candidates(self, column: Any, counts: Floats) -> list[Any]:
        """The scales, or the segments of enough rows."""
        if self.gate is not None:
            return _scales(column, counts) if self.scale is None else [float(self.scale)]
        known = column[column == column] if column.dtype.kind == "f" else column[[v is not None for v in column]]
        values, n = np.unique(known, return_counts=True)
        return values[n >= self.min_rows].tolist()  # type: ignore[no-any-return]

    def _gate(self, column: Any, value: Any) -> Gate:
        opened = self._opened(column, value)
        at = np.flatnonzero(opened)
        return Gate(value, at, opened[at])

    def _opened(self, column: Any, value: Any) -> Floats:
        """The gate of every row, in [0, 1]."""
        if self.gate is None:
            return np.asarray(column == value, dtype=np.float64)
        with np.errstate(over="ignore"):
            g = 1.0 / (1.0 + (column / value) ** 4)
        return np.where(g >= SHUT, g, 0.0)  # of a missing activity too

    def _share(self, rows: Part, gate: Gate) -> float:
        w = gate.opened * rows.counts()[gate.at]
        size = w.sum() ** 2 / (w**2).sum()
        return float(size / (size + self.strength))

    def _local(self, part: GBRegressor, rows: Part, gate: Gate) -> GBRegressor | None:
        """A booster of the rows of an open gate, on from a global model's raw score; None where nothing is to be learnt."""
        weight = gate.opened * rows.counts()[gate.at]
        of = rows.take(gate.at[weight > 0])
        if of.y.size < 2 or np.ptp(of.y) == 0 or part.loss_.constant_ is not None:
            return None
        local: GBRegressor = clone(self.estimator).set_params(**{**LOCAL, **(self.local or {})})
        return local.fit(of.X, of.y, weight[weight > 0], offset=part.predict_raw(of.X), groups=of.groups)

    def _gain(self, part: GBRegressor, rows: Part, gate: Gate, inside: Any, outside: Any) -> Any:
        """By how much a local booster lowers the loss of every held-out row of an open gate, NaN where there is none."""
        seen, held = gate.only(inside, rows.y.size), gate.only(outside, rows.y.size)
        local = self._local(part, rows, seen) if held.at.size else None
        if local is None:
            return np.nan
        of = rows.take(held.at)
        raw = part.predict_raw(of.X)
        step = held.opened * self._share(rows, seen) * local.predict_raw(of.X, offset=np.zeros(of.y.size))
        return part.loss_.value(of.y, raw) - part.loss_.value(of.y, raw + step)

    def predict_raw(self, X: Any) -> Floats:
        """Complete raw scores, shape (n_samples,): the global model's, and what local boosters add."""
        check_fitted(self, "locals_")
        X = check_features(self, X, reset=False)
        raw = np.array(self.estimator_.predict_raw(X))
        column = self._read(X, self.column_index_)[1]
        self._check_activity(column)
        for local, share, value in zip(self.locals_, self.shares_, self.values_, strict=True):
            gate = self._opened(column, value)
            at = np.flatnonzero(gate)
            if at.size:
                raw[at] += gate[at] * share * local.predict_raw(take_rows(X, at), offset=np.zeros(at.size))
        return raw

    def _predicted(self, X: Any) -> Floats:
        raw = self.predict_raw(X)
        loss = self.estimator_.loss_
        return np.full(raw.shape, loss.constant_) if loss.constant_ is not None else loss.predict(raw)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        part = get_tags(self.estimator)
        tags.input_tags.allow_nan, tags.input_tags.sparse = part.input_tags.allow_nan, part.input_tags.sparse
        tags.target_tags.positive_only = part.target_tags.positive_only
        return tags


def _scales(activity: Floats, counts: Floats) -> list[float]:
    """Candidates for the scale of a gate; none where no activity is above 0."""
    known = ~np.isnan(activity)
    positive = activity[known & (activity > 0)]
    if not positive.size:
        return []
    found = (float(weighted_quantile(activity[known], share, counts[known])) for share in _SHARES)
    return sorted({max(float(positive.min()) / 2, scale) for scale in found})

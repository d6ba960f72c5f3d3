"""D2QRegressor: ranks within groups of equal duration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length, get_tags

from gbreg._checks import Floats, check_fitted, check_sample_weight
from gbreg._columns import check_features, numeric_column
from gbreg._compat import HasMethods, Interval
from gbreg._discretize import bucket_of, make_edges
from gbreg.estimators.model import Model
from gbreg.estimators.parts import as_sets, check_unconstrained, fit_part
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.rows import as_labels, check_groups
from gbreg.losses.scales import weighted_quantile
from gbreg.metrics import mid_ranks


class D2QRegressor(Model):
    """Regression on the rank of y within groups of similar duration: long videos are watched longer, liked or not.

    Rows are cut by duration into groups of equal weight. The estimator learns each label's mid-rank within its group, a
    number in (0, 1); a prediction is the group's quantile function at the predicted rank.

    Parameters
    ----------
    estimator : regressor
        Any; ``GBRegressor`` with any loss whose domain holds (0, 1). It sees all columns, the duration included.
    group : str or int
        The column of durations: its name, or its index in X, from 0. Integers are always indices.
    n_groups : int >= 1, default 32
        At most: a duration is never split between groups, and one with more than 1 / n_groups of the weight has a group
        of its own.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to the ranks.
    group_index_ : int
        The column of durations.
    n_groups_ : int
        Groups made, that of missing durations included.
    group_edges_ : ndarray
        Durations between two groups, halfway between training durations: an unseen one falls into the nearest group.
    missing_group_ : int
        Where missing durations go: a last group of their own if any were seen in training, else the median duration's.
    values_, ranks_ : ndarray
        Distinct training labels and their mid-ranks, group after group, increasing within each.
    offsets_ : ndarray of shape (n_groups_ + 1,)
        Group g lies at ``offsets_[g]:offsets_[g + 1]`` of `values_` and `ranks_`.
    n_features_in_, feature_names_in_

    Notes
    -----
    Domain: all reals. Functional: a quantile of y given the duration at the mean (or whatever the estimator learns) of the
    rank; near the median, and not the mean of y: calibrate where sums matter. Scale-equivariant in y, and unchanged by
    any increasing transform of the durations.
    Estimators that are not gbreg's, such as scikit-learn's pipelines, can be pickled, not saved: `gbreg.check_savable` says
    so before training.
    Zhan et al. (2022), "Deconfounding Duration Bias in Watch-time Prediction for Video Recommendation", arXiv 2206.06003.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import D2QRegressor, GBRegressor
    >>> X = np.column_stack([np.tile([10.0, 60.0], 100), np.arange(200.0) % 25])
    >>> model = D2QRegressor(GBRegressor(n_estimators=50), group=0).fit(X, X[:, 0] * X[:, 1] / 25)
    >>> model.n_groups_, bool(np.abs(model.predict_rank(X) - (X[:, 1] + 0.5) / 25).max() < 0.05)
    (2, True)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "group": [str, Interval(Integral, 0, None, closed="left")],
        "n_groups": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, estimator: Any, group: str | int, n_groups: int = 32):
        self.estimator = estimator
        self.group = group
        self.n_groups = n_groups

    word = "d2q"
    family = "D2Q"

    @classmethod
    def own_parameters(cls) -> list[str]:
        return ["group", "loss", "n_groups"]

    @classmethod
    def of_word(cls, given: dict[str, Any], read_loss: Callable[[str], Any]) -> Self:
        if "group" not in given:
            raise ValueError("loss 'd2q' ranks within groups of a column: name it, as in d2q:group=duration")
        loss = read_loss(str(given.pop("loss", "squared_error")))
        return cls(GBRegressor(loss), **given)

    def label(self) -> str:
        return f"{self.word}:group={self.group}"

    def columnless(self) -> Self:
        return super().columnless().set_params(group=0)  # type: ignore[no-any-return]

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
        """Learn the groups and their quantile functions, then fit the estimator to the ranks.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Weighs groups and ranks, and is passed on: an error where the estimator takes none.
        eval_set : (X, y) or list of them, optional
            Passed on with the ranks that the labels have in the training groups.
        eval_sample_weight : array or list of arrays, optional
        groups : array-like of shape (n_samples,), optional
            Passed on: what must not be torn apart where rows are held out.
        callbacks : list, optional
            Passed on.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a column that is not there, infinite durations, and weights, evaluation sets or groups that the estimator
            does not take.
        TypeError
            For durations that are not numbers.
        """
        self._validate_params()
        X = check_features(self, X, reset=True)
        self.group_index_, duration = numeric_column(X, self.group, "group")
        check_unconstrained(
            self.estimator,
            X,
            self.group_index_,
            f"group={self.group!r}: the estimator's ranks keep to a monotone constraint along it, but every group reads "
            "them from its own labels",
        )
        labels = as_labels(self, y)
        check_consistent_length(duration, labels)
        if np.isinf(duration).any():
            raise ValueError(
                f"group={self.group!r}: {np.isinf(duration).sum():,} durations are infinity (first at row "
                f"{np.flatnonzero(np.isinf(duration))[0]}): NaN is a missing one"
            )
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        used = slice(None) if weight is None else weight > 0
        counts = np.ones(labels.size) if weight is None else weight
        self._learn_groups(duration[used], counts[used])
        self._learn_ranks(self._groups(duration[used]), labels[used], counts[used])
        sets = [
            (X_, self._ranks(self._groups(self._duration(X_)), y_), w)
            for X_, y_, w in as_sets(self, eval_set, eval_sample_weight, partial(as_labels, self))
        ]
        ranks = self._ranks(self._groups(duration), labels)
        self.estimator_ = fit_part(self.estimator, X, ranks, weight, sets, callbacks, check_groups(groups, labels.size))
        return self

    def _learn_groups(self, duration: Floats, weight: Floats) -> None:
        missing = np.isnan(duration)
        known, known_weight = duration[~missing], weight[~missing]
        several = self.n_groups > 1 and known.size > 0
        self.group_edges_ = make_edges(known, known_weight, self.n_groups) if several else np.empty(0)
        n_known = self.group_edges_.size + 1 if known.size else 0
        self.n_groups_ = n_known + int(missing.any())
        if missing.any():
            self.missing_group_ = n_known
        else:
            self.missing_group_ = int(bucket_of(weighted_quantile(known, 0.5, known_weight), self.group_edges_))

    def _learn_ranks(self, groups: NDArray[np.intp], y: Floats, weight: Floats) -> None:
        values, ranks = [], []
        for g in range(self.n_groups_):
            inside = groups == g
            distinct, first = np.unique(y[inside], return_index=True)
            values.append(distinct)
            ranks.append(mid_ranks(y[inside], weight[inside])[first] / weight[inside].sum())
        self.offsets_ = np.cumsum([0, *(v.size for v in values)])
        self.values_ = np.concatenate(values)
        # A label with a vanishing share of the weight rounds to 0 or 1, outside the domain of losses on (0, 1).
        self.ranks_ = np.clip(np.concatenate(ranks), np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg)

    def _duration(self, X: Any) -> Floats:
        return numeric_column(X, self.group_index_, "group")[1]  # type: ignore[no-any-return]

    def _groups(self, duration: Floats) -> NDArray[np.intp]:
        return np.where(np.isnan(duration), self.missing_group_, bucket_of(duration, self.group_edges_))

    def _ranks(self, groups: NDArray[np.intp], y: Floats) -> Floats:
        return self._by_group(groups, y, self.values_, self.ranks_)

    def _by_group(self, groups: NDArray[np.intp], x: Floats, knots: Floats, heights: Floats) -> Floats:
        out = np.empty(x.size)
        for g in np.unique(groups):
            inside, span = groups == g, slice(*self.offsets_[g : g + 2])
            out[inside] = _interpolated(x[inside], knots[span], heights[span])
        return out

    def predict_rank(self, X: Any) -> Floats:
        """The predicted rank of each row within its group, in [0, 1]: what compares rows of different durations."""
        check_fitted(self, "estimator_")
        return np.clip(np.asarray(self.estimator_.predict(X), dtype=np.float64), 0.0, 1.0)

    def _predicted(self, X: Any) -> Floats:
        """Each group's quantile function at the predicted ranks.

        It is linear between the mid-ranks of the training labels, flat beyond, and gives a label back at its own rank.
        """
        check_fitted(self, "estimator_")
        X = check_features(self, X, reset=False)
        return self._by_group(self._groups(self._duration(X)), self.predict_rank(X), self.ranks_, self.values_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        part = get_tags(self.estimator).input_tags
        tags.input_tags.allow_nan, tags.input_tags.sparse = part.allow_nan, part.sparse
        return tags


def _interpolated(x: Floats, knots: Floats, heights: Floats) -> Floats:
    """Linear between the knots, flat beyond; never above the next height, which rounding can pass."""
    after = np.minimum(np.searchsorted(knots, x, side="right"), knots.size - 1)
    return np.minimum(np.interp(x, knots, heights), heights[after])

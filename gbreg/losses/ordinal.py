"""Ordinal regression: whether the label reaches each edge, from one raw score an edge, or one or two for all."""

from __future__ import annotations

from math import exp, expm1, inf, log1p
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from gbreg import _kernels as kernels
from gbreg._checks import Floats
from gbreg._discretize import bucket_of
from gbreg.losses.bucketing import BucketLoss, row_bucket
from gbreg.losses.censoring import is_censored
from gbreg.losses.native import NativeForm
from gbreg.losses.odds import steps_are_short
from gbreg.losses.ranges import Choice, Integers
from gbreg.losses.thresholds import BLOCK, LEAST_GAP, Scored, improved

# How far, in log-odds, one row may ask its leaf to move an output of its own.
_FAR = 10.0
# The spread's score is taken as it is up to _STRAIGHT and bent from there on, never to pass _STRAIGHT + 1: a bucket met
# exactly would let it go to -inf, and then one label elsewhere costs any loss.
_STRAIGHT = 2.0
# The thresholds are estimated again before each of the first rounds, later before every fifth: held-out scores are the
# same, and an update takes as long as one or two trees.
_EVERY_ROUND = 10
_SELDOM = 5
# After the last round of a training with censored labels.
_LAST_STEPS = 50


def _tail(x):  # type: ignore[no-untyped-def]
    """expit(-x)."""
    e = exp(-abs(x))
    return e / (1.0 + e) if x > 0.0 else 1.0 / (1.0 + e)


def _softplus(x):  # type: ignore[no-untyped-def]
    return max(x, 0.0) + log1p(exp(-abs(x)))


def _bound(x):  # type: ignore[no-untyped-def]
    """The curvature of the parabola that touches softplus at x and -x and lies above it (Jaakkola & Jordan 2000)."""
    size = abs(x)
    e = exp(-size)
    return 0.5 * (1.0 - e) / ((1.0 + e) * size) if size > 1e-4 else 0.25


def _independent_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    own = row_bucket(y, parameters)
    value = 0.0
    for k in range(parameters.shape[0]):
        value += _softplus(-raw[k] if k < own else raw[k])
    return value


def _independent_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    own = row_bucket(y, parameters)
    for k in range(parameters.shape[0]):
        below = _tail(raw[k])
        above = _tail(-raw[k])
        gradient[k] = -below if k < own else above
        hess[k] = max(below * above, abs(gradient[k]) / _FAR)


def _bent(score):  # type: ignore[no-untyped-def]
    """By how much of 1 the size of the spread's logarithm exceeds _STRAIGHT."""
    e = exp(-2.0 * max(abs(score) - _STRAIGHT, 0.0))
    return (1.0 - e) / (1.0 + e)


def _log_spread(score):  # type: ignore[no-untyped-def]
    size = min(abs(score), _STRAIGHT) + _bent(score)
    return size if score > 0.0 else -size


def _distances(y, raw, parameters, table):  # type: ignore[no-untyped-def]
    """How far above the location the thresholds of the label's bucket are, and in which unit: one over the spread."""
    own = row_bucket(y, parameters)
    unit = exp(-_log_spread(raw[1])) if raw.shape[0] > 1 else 1.0
    low, high = table[0, own], table[0, own + 1]
    return (low - raw[0]) * unit, (high - raw[0]) * unit, (high - low) * unit, unit


def _open_distances(y, raw, parameters, table):  # type: ignore[no-untyped-def]
    """The same, where a censored label's bucket has all beyond it in it."""
    low, high, gap, unit = _distances(abs(y), raw, parameters, table)
    return (low, inf, inf, unit) if is_censored(y) else (low, high, gap, unit)


def _shared_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    return _value_between(*_distances(y, raw, parameters, table))


def _censored_shared_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    return _value_between(*_open_distances(y, raw, parameters, table))


def _value_between(low, high, gap, unit):  # type: ignore[no-untyped-def]
    # expit(high) - expit(low) = expit(high) expit(-low) (1 - exp(-gap)), with the logarithms of all three in one.
    e, f, part = exp(-abs(low)), exp(-abs(high)), -expm1(-gap)
    return max(low, 0.0) + max(-high, 0.0) + log1p((e + f + e * f + (1.0 - part)) / part)


def _shared_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    low, high, gap, unit = _distances(y, raw, parameters, table)
    _derivatives_between(low, high, gap, unit, raw, gradient, hess)


def _censored_shared_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    low, high, gap, unit = _open_distances(y, raw, parameters, table)
    _derivatives_between(low, high, gap, unit, raw, gradient, hess)


def _derivatives_between(low, high, gap, unit, raw, gradient, hess):  # type: ignore[no-untyped-def]
    below, above = _tail(-low), _tail(high)
    gradient[0] = unit * (above - below)
    # A quarter of the parabolas is still above, at learning rates up to 0.3, with what the spread's own step needs.
    exact = above * (1.0 - above) + below * (1.0 - below)
    hess[0] = unit * unit * max(exact, 0.25 * (_bound(high) + _bound(low)))
    if raw.shape[0] > 1:
        # An infinite threshold adds nothing.
        slope = (high * above if above > 0.0 else 0.0) - (low * below if below > 0.0 else 0.0)
        slope += gap / expm1(gap) if gap < 700.0 else 0.0
        gradient[1] = slope * (1.0 - _bent(raw[1]) ** 2)
        hess[1] = max(1.0, abs(slope))


class OrdinalBuckets(BucketLoss):
    r"""Whether the label reaches each edge between buckets: a distribution from one tree a round, two, or one an edge.

    ``thresholds="shared"`` is the cumulative logit of McCullagh (1980),

    .. math:: P(y < e_k) = \mathrm{expit}((\theta_k - r_0)\, e^{-r_1})

    with ordered thresholds that begin at the logits of the labels' own distribution and are estimated again between
    rounds from the training scores (on CatBoost they stay). Its loss is ``-ln`` of the probability of the label's bucket.
    ``thresholds="independent"`` has ``P(y >= e_k) = expit(r_k)`` and the sum of all K - 1 binary cross-entropies.

    Parameters
    ----------
    n_buckets : int >= 2, default 64
        At most: ties and atoms can leave fewer.
    edges : str, array, or list of (start, stop, step), default "mixed"
        See `gbreg._discretize.make_edges`.
    representative : {"mean", "median"}, default "mean"
        What a bucket's labels are taken for in the decoded mean.
    thresholds : {"shared", "independent"}, default "shared"
    spread : bool, default False
        Shared thresholds only: the second output :math:`r_1`, by which rows differ in how sure they are. It is taken as
        it is within 2 of 0 and bent beyond, so that no spread is more than 20 times another row's that has 0.

    Attributes
    ----------
    edges_ : ndarray of shape (K - 1,)
    representatives_, low_, high_, prior_ : ndarrays of shape (K,)
        Of each bucket: its representative, least and greatest label, and share of the weight.
    thresholds_ : ndarray of shape (K - 1,)
        The shared ones, strictly increasing; of independent ones the logits of the labels' own distribution.

    Notes
    -----
    Domain: the reals. Functional: the whole distribution; `predict` reads its mean. Scale-equivariant where the edges are.
    Takes censored labels, at least 0, with shared thresholds: of theirs only the lower one counts. Independent ones would
    be biased: of an edge beyond a censored label they would hear from the labels that stayed below it alone.
    Value: 0 where the label's bucket is certain. Curvature: of a location ``p (1 - p)`` at both thresholds and at least a
    quarter of the curvature of the parabolas that bound them; of the spread its slope and at least 1: together they
    bound the joint step at learning rates up to 0.3. Of an independent output ``p (1 - p)`` and at least what moves its
    log-odds by 10.
    McCullagh (1980), doi:10.1111/j.2517-6161.1980.tb01109.x; Jaakkola & Jordan (2000), doi:10.1023/A:1008932416310.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import GBRegressor
    >>> from gbreg.losses import OrdinalBuckets
    >>> x = np.linspace(0, 5, 600)
    >>> model = GBRegressor(OrdinalBuckets(n_buckets=32), n_estimators=100).fit(x[:, None], np.exp(x))
    >>> bool(np.corrcoef(model.predict(x[:, None]), np.exp(x))[0, 1] > 0.99)
    True
    """

    options = {
        "representative": ("mean", "median"),
        "thresholds": ("shared", "independent"),
        "spread": (False, True),
    }
    search_space = {
        "n_buckets": Integers(16, 256),
        "edges": Choice(("mixed", "quantile")),
        "spread": Choice((False, True)),
    }

    thresholds_: Floats

    def __init__(
        self,
        n_buckets: int = 64,
        edges: str | ArrayLike = "mixed",
        representative: str = "mean",
        thresholds: str = "shared",
        spread: bool = False,
    ):
        self.n_buckets = n_buckets
        self.edges = edges
        self.representative = representative
        self.thresholds = thresholds
        self.spread = spread

    @property
    def shared(self) -> bool:
        return self.thresholds == "shared"

    @property
    def row_value(self):  # type: ignore[no-untyped-def]
        if not self.shared:
            return _independent_value
        return _censored_shared_value if self.censored_ else _shared_value

    @property
    def row_derivatives(self):  # type: ignore[no-untyped-def]
        if not self.shared:
            return _independent_derivatives
        return _censored_shared_derivatives if self.censored_ else _shared_derivatives

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        if self.shared:
            return 1 + int(self.spread)
        check_is_fitted(self, "edges_")
        return max(1, self.edges_.size)

    @property
    def takes_censored(self) -> bool:  # type: ignore[override]
        return self.shared

    @property
    def refines(self) -> bool:  # type: ignore[override]
        return self.shared

    @property
    def scale_equivariant(self) -> bool:
        return isinstance(self.edges, str) and self.edges != "exp"

    @property
    def ordered(self) -> str | None:
        """Locations, and chances to reach an edge, move the whole distribution; a spread moves its ends apart."""
        return None if self.spread else "distribution"

    def check_parameters(self) -> None:
        super().check_parameters()
        if self.spread and not self.shared:
            raise ValueError(
                "OrdinalBuckets: spread=True is for thresholds='shared'; independent ones have every spread already"
            )

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        super().learn_scales(y, sample_weight)
        below, above = np.cumsum(self.prior_)[:-1], np.cumsum(self.prior_[::-1])[::-1][1:]
        logits = np.log(below) - np.log(above)
        # Weights may leave two cumulated shares the same number.
        gaps = np.maximum(np.diff(logits), 2 * LEAST_GAP)
        self.thresholds_ = np.cumsum(np.concatenate([logits[:1], gaps]))
        self._course: list[tuple[int, Floats]] = []  # what they were from which round on
        self._seen: tuple[Any, NDArray[np.intp]] | None = None  # labels and buckets of the training rows

    def kernel_parameters(self) -> Floats:
        check_is_fitted(self, "edges_")
        return self.edges_

    def table(self) -> Floats:
        return np.concatenate([[-np.inf], self.thresholds_, [np.inf]])[None, :]

    def best_raw(self, y: Floats, sample_weight: Floats) -> Floats:
        # The thresholds are the best constant's.
        return np.zeros(self.n_outputs) if self.shared or not self.edges_.size else -self.thresholds_

    def native_form(self) -> NativeForm | None:
        """A cross-entropy an output, for independent thresholds that neither few labels reach nor few miss."""
        return None if self.shared or not steps_are_short(self) else NativeForm("cross_entropies", labels=self._reached)

    def _reached(self, y: Floats) -> tuple[Floats, None]:
        """Whether each label reaches each edge, shape (n_samples, K - 1)."""
        return (y[:, None] >= self.edges_).astype(np.float64), None

    def refine(self, y: Any, raw_prediction: Any, sample_weight: Any, n_rounds: int) -> bool:
        """One guarded Newton step of the thresholds: it lowers the training loss and keeps their order, or is not made."""
        if n_rounds == 0 or (n_rounds > _EVERY_ROUND and n_rounds % _SELDOM) or self.edges_.size == 0:
            return False
        if not self._course:
            self._course.append((0, self.thresholds_))
        if self._seen is None or not np.array_equal(self._seen[0], y):
            self._seen = y, bucket_of(np.abs(y) if self.censored_ else y, self.edges_)
        beyond = np.signbit(y) if self.censored_ else None
        raw = raw_prediction.reshape(y.shape[0], self.n_outputs)
        blocks = []
        for start in range(0, y.shape[0], BLOCK):
            rows = slice(start, start + BLOCK)
            scores = raw[rows].astype(np.float64)
            own = self._seen[1][rows]
            hidden = None if beyond is None else beyond[rows]
            blocks.append(Scored(own, scores[:, 0], self._unit(scores), sample_weight[rows], hidden))
        thresholds = improved(blocks, self.thresholds_)
        if thresholds is None:
            return False
        self.thresholds_ = thresholds
        self._course.append((n_rounds, thresholds))
        return True

    @property
    def decodes_with_residuals(self) -> bool:  # type: ignore[override]
        return self.shared and self.censored_

    def fit_decoder(self, y: Floats, raw_prediction: Floats, sample_weight: Floats) -> None:
        """The thresholds of the least loss at these scores: those of censored labels begin far from it."""
        for _ in range(_LAST_STEPS):
            self._seen = None
            if not self.refine(y, raw_prediction, sample_weight, _SELDOM):
                break
        self._course, self._seen = [], None

    def _unit(self, raw: Floats) -> Floats | None:
        """One over the rows' spread, shape (n_samples,); None where all have the same."""
        return np.exp(-kernels.map_scalar(_log_spread, raw[:, 1])) if self.spread else None

    def settle(self, n_rounds: int) -> None:
        """The thresholds that a model of `n_rounds` rounds was trained and evaluated with."""
        self.thresholds_ = [self.thresholds_, *(t for k, t in self._course if k < max(n_rounds, 1))][-1]
        self._course, self._seen = [], None

    def probabilities(self, raw_prediction: ArrayLike) -> Floats:
        raw = np.asarray(raw_prediction, dtype=np.float64)
        raw = raw.reshape(len(raw), self.n_outputs)
        if not self.shared:
            reached = expit(raw[:, : self.edges_.size])
            # Scores of their own can cross. Lowering what exceeds its left neighbours would bias the mean down, raising
            # what falls below its right ones up: half of each.
            lowered = np.minimum.accumulate(reached, axis=1)
            raised = np.maximum.accumulate(reached[:, ::-1], axis=1)[:, ::-1]
            bounds = np.pad(0.5 * (lowered + raised), ((0, 0), (1, 1)), constant_values=((0, 0), (1.0, 0.0)))
            return -np.diff(bounds, axis=1)
        spread = self._unit(raw)
        unit = 1.0 if spread is None else spread[:, None]
        distance = (self.thresholds_ - raw[:, :1]) * unit
        p = np.ones((len(raw), self.prior_.size))
        p[:, :-1] *= expit(distance)
        p[:, 1:] *= expit(-distance)
        p[:, 1:-1] *= -np.expm1(-np.diff(self.thresholds_) * unit)
        return p

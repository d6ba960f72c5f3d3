"""Regression as classification: the label's bucket, from one softmax over all buckets."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import root
from sklearn.utils.validation import check_is_fitted

from gbreg import _kernels as kernels
from gbreg._checks import Floats, check_fitted
from gbreg._discretize import KINDS, basis, bucket_of, local_widths
from gbreg.links import NON_NEGATIVE
from gbreg.losses import softmax_rows as rows
from gbreg.losses.bucketing import BucketLoss, softmax
from gbreg.losses.carrier import met, scaled
from gbreg.losses.native import NativeForm
from gbreg.losses.ranges import Choice, Integers, LogUniform, SearchSpace

# The carrier is learnt again before each of the first rounds, later before every fifth.
_EVERY_ROUND = 10
_SELDOM = 5
_BLOCK = 2**13
# How often labels that are censored are completed by what the model expects of them, and how near that must come.
_COMPLETIONS = 30
_SETTLED = 1e-7


class SoftmaxBuckets(BucketLoss):
    r"""Cross-entropy of the label's bucket, from one raw score a bucket, or from a few for all of them.

    With a `rank` the logits are ``ln(prior_k) + sum_r raw_r B[r, k]``: an exponential family whose sufficient statistics
    B are the functionals to be read. At a leaf's optimum the model's mean of every statistic is the data's. R trees a
    round instead of K. Its carrier begins as the labels' own distribution, which is wider than any row's, and is learnt
    again between rounds (on CatBoost after the last) from the training rows: in the end they expect of every bucket the
    labels that it has, so that the sum of their means is the sum of the labels.

    Parameters
    ----------
    n_buckets : int >= 2, default 96
        At most: ties and atoms can leave fewer.
    edges : str, array, or list of (start, stop, step), default "mixed"
        See `gbreg._discretize.make_edges`.
    representative : {"mean", "median"}, default "mean"
        What a bucket's labels are taken for in the decoded mean.
    rank : int >= 1 or None, default 2
        Number of raw scores, at most K - 1; None for one a bucket.
    basis : {"functionals", "polynomial"} or tuple of str, default "functionals"
        Statistics of low rank, see `gbreg._discretize.basis`; the first `rank` are used. "functionals" is ln y, the
        square root of y, then powers of position; where labels hold zeros, ln(1 + y), y, the zeros, then powers of position.
    soft : {"normal", "laplace", "hl_gauss", "two_hot"} or None, default None
        Soft labels, see `gbreg._discretize.soft_labels`; None for the hard bucket.
    sigma : float, (a, power) or None, default None
        Their width: None one local bucket width, a pair ``a * y**power``.
    space : {"raw", "log"}, default "raw"
        Whether their distances are of y or of ln(1 + y).
    at : {"representative", "upper_edge"}, default "representative"
        Where "normal" and "laplace" place a bucket.
    unbiased : bool, default False
        Tilt them until their mean is the label.
    tail_shape : float in [0, 1) or None, default None
        A generalised Pareto beyond the last edge, see `gbreg.distribution.Bucketed`.

    Attributes
    ----------
    edges_ : ndarray of shape (K - 1,)
    representatives_, low_, high_, prior_ : ndarrays of shape (K,)
        Of each bucket: its representative, least and greatest label, and share of the weight; the last is the carrier of
        low rank, which training changes.
    basis_ : ndarray of shape (rank, K)
        The statistics, orthonormal under the labels' own distribution; empty at full rank.

    Notes
    -----
    Domain: y >= 0. Functional: the whole distribution; `predict` reads its mean. Scale-equivariant on positive labels.
    Hard labels may be censored: ``-ln`` of the probability of their bucket and all beyond. The carrier of low rank is then
    that of the Kaplan-Meier weights, and in the end expects of every bucket its labels, and what the model expects of the
    censored ones (Dempster, Laird & Rubin 1977).
    Value: relative entropy, 0 at the target. Curvature: of full rank ``2 p (1 - p)``, of low rank the absolute row sums
    of the statistics' covariance; both at least what moves one row's log-odds by 10, or half the way to a soft label's.
    """

    y_domain = NON_NEGATIVE
    options = {
        "representative": ("mean", "median"),
        "soft": (*KINDS, None),
        "space": ("raw", "log"),
        "at": ("representative", "upper_edge"),
    }

    basis_: Floats
    _numbers: tuple[tuple[Floats, Floats], ...] = ()

    def __init__(
        self,
        n_buckets: int = 96,
        edges: str | ArrayLike = "mixed",
        representative: str = "mean",
        rank: int | None = 2,
        basis: str | tuple[str, ...] = "functionals",
        soft: str | None = None,
        sigma: float | tuple[float, float] | None = None,
        space: str = "raw",
        at: str = "representative",
        unbiased: bool = False,
        tail_shape: float | None = None,
    ):
        self.n_buckets = n_buckets
        self.edges = edges
        self.representative = representative
        self.rank = rank
        self.basis = basis
        self.soft = soft
        self.sigma = sigma
        self.space = space
        self.at = at
        self.unbiased = unbiased
        self.tail_shape = tail_shape

    @property
    def row_value(self):  # type: ignore[no-untyped-def]
        low_rank = self.rank is not None
        return rows.tail_value(low_rank) if self.censored_ else rows.value(low_rank, self.soft is not None)

    @property
    def row_derivatives(self):  # type: ignore[no-untyped-def]
        soft, hidden = self.soft is not None, self.censored_
        if self.rank is None:
            return rows.full_derivatives(soft, hidden)
        return rows.low_rank_derivatives(self.n_outputs, soft, False, hidden)

    def training_spec(self) -> kernels.RowSpec:
        if self.rank is None:
            return self.spec()
        derivatives = rows.low_rank_derivatives(self.n_outputs, self.soft is not None, True, self.censored_)
        return kernels.RowSpec(self.row_value, derivatives, self.n_numbers, single=True)

    @property
    def n_numbers(self) -> int:  # type: ignore[override]
        if self.soft is None:
            return 1
        return rows.WANTED + (0 if self.rank is None else self.n_outputs)

    def label_numbers(self, y: Floats) -> Floats:
        """A hard label itself; of a soft one also its tilt and, at low rank, its means of the statistics."""
        if self.soft is None:
            return y
        for seen, numbers in self._numbers:
            if np.array_equal(seen, y):
                return numbers
        numbers = self._soft_numbers(np.ascontiguousarray(y, dtype=np.float64))
        # Of the training labels and those of one evaluation set: they are asked for in every round.
        self._numbers = ((np.array(y), numbers), *self._numbers[:1])
        return numbers

    def _soft_numbers(self, y: Floats) -> Floats:
        arguments, none = self.arguments(), np.zeros((y.size, 1))
        tilt = kernels.row_value(rows.TILT, arguments, y, none) if self.unbiased else none[:, 0]
        numbers = np.column_stack([y, tilt])
        if self.rank is None:
            return numbers
        wanted, unused = np.empty((2, y.size, self.n_outputs))
        run = kernels.RowPass(rows.STATISTICS, arguments, offset=np.zeros(self.n_outputs))
        run(numbers, np.zeros_like(wanted), np.ones(y.size), (wanted, unused))
        return np.column_stack([numbers, wanted])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_numbers"}

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        check_fitted(self, "edges_")
        return self.prior_.size if self.rank is None else len(self.basis_)

    @property
    def scratch(self) -> int:  # type: ignore[override]
        return 3 * self.prior_.size

    @property
    def takes_censored(self) -> bool:  # type: ignore[override]
        return self.soft is None

    @property
    def refines(self) -> bool:  # type: ignore[override]
        # Completed anew in every round, censored labels follow what trees make of single rows: held-out loss is higher.
        return self.rank is not None and not self.censored_

    @property
    def decodes_with_residuals(self) -> bool:  # type: ignore[override]
        return self.rank is not None

    @property
    def scale_equivariant(self) -> bool:
        return False

    @property
    def ordered(self) -> str | None:
        """Scores that tilt towards larger labels move the whole distribution up; others, or one a bucket, do not."""
        check_is_fitted(self, "edges_")
        return "distribution" if self.rank is not None and (np.diff(self.basis_, axis=1) >= 0).all() else None

    def check_parameters(self) -> None:
        super().check_parameters()
        who = "SoftmaxBuckets"
        if self.rank is not None and not (isinstance(self.rank, Integral) and self.rank >= 1):
            raise ValueError(f"{who}: rank={self.rank!r} must be an integer >= 1, or None for one score a bucket")
        if self.at == "upper_edge" and self.soft not in ("normal", "laplace"):
            raise ValueError(f"{who}: at='upper_edge' is for soft='normal' and 'laplace', got soft={self.soft!r}")
        a, power = self._sigma()
        if self.sigma is not None and not (0 < a < inf and -inf < power < inf):
            raise ValueError(f"{who}: sigma={self.sigma!r} must be positive, a pair (a, power) with a > 0, or None")
        if isinstance(self.basis, str) and self.basis not in ("functionals", "polynomial"):
            raise ValueError(f"{who}: basis={self.basis!r} must be 'functionals', 'polynomial', or a tuple of statistics")
        if self.tail_shape is not None and not 0 <= self.tail_shape < 1:
            raise ValueError(f"{who}: tail_shape={self.tail_shape!r} must lie in [0, 1), or be None for no tail")

    def _sigma(self) -> tuple[float, float]:
        """(a, power) of the width, a = 0 for the local width."""
        if self.sigma is None:
            return 0.0, 0.0
        a, power = self.sigma if isinstance(self.sigma, tuple | list) else (self.sigma, 0.0)
        return float(a), float(power)

    @property
    def search_space(self) -> SearchSpace:  # type: ignore[override]
        space: dict[str, Any] = {}
        if isinstance(self.edges, str):
            space |= {"n_buckets": Integers(16, 256), "edges": Choice(("mixed", "quantile"))}
        if self.rank is not None:
            space["rank"] = Integers(1, 6)
        if self.soft in ("normal", "laplace", "hl_gauss") and hasattr(self, "edges_"):
            width = float(np.median(self.table()[rows.WIDTHS]))
            space["sigma"] = LogUniform(0.25 * width, 8.0 * width)
        return space

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        super().learn_scales(y, sample_weight)
        y = y.astype(np.float32).astype(np.float64)
        self._numbers = ()
        self._course: list[tuple[int, Floats]] = []  # what the carrier was from which round on
        self.basis_ = np.empty((0, self.prior_.size)) if self.rank is None else self._statistics(y, sample_weight)
        self._shares = self.shares(y, sample_weight) if self.refines else self.prior_

    def _statistics(self, y: Floats, sample_weight: Floats) -> Floats:
        n_buckets = self.prior_.size
        if n_buckets == 1:
            return np.zeros((1, 1))
        zeros = bool((y[sample_weight > 0] <= 0).any())
        named = {"functionals": ("log", "mean", "zero") if zeros else ("log", "root"), "polynomial": ()}
        names = named[self.basis] if isinstance(self.basis, str) else tuple(self.basis)
        rank = min(int(self.rank or 1), n_buckets - 1)
        if isinstance(self.basis, str):
            names += tuple(f"position{degree}" for degree in range(1, rank + 1))
        elif len(names) < rank:
            raise ValueError(
                f"SoftmaxBuckets: rank={self.rank} needs as many statistics, basis={self.basis!r} names {len(names)}"
            )
        return basis(y, sample_weight, self.edges_, names[:rank], log_shift=1.0 if zeros else 0.0)

    def kernel_parameters(self) -> Floats:
        softness = [-1.0 if self.soft is None else KINDS[self.soft], *self._sigma(), self.unbiased, self.space == "log"]
        reach = np.ptp(self.basis_, axis=1) if self.rank is not None else np.empty(0)
        return np.concatenate([np.array(softness, dtype=np.float64), reach / rows.FAR, self.edges_])

    def table(self) -> Floats:
        check_is_fitted(self, "edges_")
        upper = np.append(self.edges_, self.high_[-1])
        points = np.maximum(upper, self.representatives_) if self.at == "upper_edge" else self.representatives_
        centres = self.representatives_
        if self.space == "log":
            points, centres, upper = np.log1p(points), np.log1p(centres), np.log1p(upper)
        rows = [np.log(self.prior_), points, self.representatives_, upper, local_widths(centres)]
        return np.vstack([*rows, self.basis_.reshape(-1, self.prior_.size)])  # JSON forgets the shape of no statistics

    def native_form(self) -> NativeForm | None:
        """The engines' multiclass objective, for hard labels at full rank."""
        if self.rank is not None or self.soft is not None or self.censored_:
            return None
        return NativeForm("softmax", {"n_classes": self.prior_.size}, labels=self._classes)

    def _classes(self, y: Floats) -> tuple[Floats, None]:
        return bucket_of(y, self.edges_).astype(np.float64), None

    def best_raw(self, y: Floats, sample_weight: Floats) -> Floats:
        # Of hard labels the prior is the best constant, and with statistics of mean 0 under it scores of 0 give it.
        start = np.log(self.prior_) if self.rank is None else np.zeros(len(self.basis_))
        if self.soft is None or self.prior_.size == 1:
            return start
        gradient, _ = self.gradient_hessian(y, np.tile(start, (y.size, 1)), sample_weight)
        missed = gradient.sum(axis=0) / sample_weight.sum()
        if self.rank is None:
            # A bucket that soft labels leave empty begins where one row can still fill it.
            return np.asarray(np.log(np.maximum(self.prior_ - missed, 1e-6 * self.prior_)))

        def excess(raw: Floats) -> Any:
            """Of the statistics' means over those of the soft labels."""
            return self.basis_ @ self.probabilities(raw[None])[0] + missed

        def covariance(raw: Floats) -> Any:
            p = self.probabilities(raw[None])[0]
            return (self.basis_ * p) @ self.basis_.T - np.outer(self.basis_ @ p, self.basis_ @ p)

        return np.asarray(root(excess, start, jac=covariance, tol=1e-12).x)

    def shares(self, y: Floats, sample_weight: Floats) -> Floats:
        """Each bucket's share of the labels' weight; of soft ones, what these give it."""
        if self.soft is None or self.prior_.size == 1:
            share = np.asarray(np.bincount(bucket_of(y, self.edges_), sample_weight, self.prior_.size), dtype=np.float64)
        else:
            share = kernels.row_sums(rows.soft_sums, self.arguments(), self.label_numbers(y), sample_weight)
        return np.asarray(share / share.sum())

    def refine(self, y: Any, raw_prediction: Any, sample_weight: Any, n_rounds: int) -> bool:
        """A step of the carrier, which never raises the training loss."""
        seldom = n_rounds > _EVERY_ROUND and n_rounds % _SELDOM
        if n_rounds == 0 or seldom or self.prior_.size == 1:
            return False
        if not self._course:
            self._course.append((0, self.prior_))
        raw = raw_prediction.reshape(y.shape[0], self.n_outputs)
        found = self._expected(self.prior_, raw, sample_weight, in_single=True)
        self.prior_ = scaled(self.prior_, self._shares, found)
        self._course.append((n_rounds, self.prior_))
        return True

    def settle(self, n_rounds: int) -> None:
        """The carrier that a model of `n_rounds` rounds was trained and evaluated with."""
        if self._course:
            self.prior_ = [carrier for k, carrier in self._course if k < max(n_rounds, 1)][-1]
        self._course = []

    def fit_decoder(self, y: Floats, raw_prediction: Floats, sample_weight: Floats) -> None:
        """The carrier at which the training rows expect of every bucket its share of their labels."""
        if not self.censored_:
            self.meet(self.shares(y, sample_weight), raw_prediction, sample_weight)
            return
        raw = np.asarray(raw_prediction, dtype=np.float64).reshape(y.size, self.n_outputs)
        for _ in range(_COMPLETIONS):
            before = self.prior_
            self.meet(self._completed(y, raw, sample_weight), raw, sample_weight)
            if np.abs(self.prior_ - before).max() < _SETTLED:
                break

    def _completed(self, y: Any, raw: Any, sample_weight: Any) -> Floats:
        """`shares` of signed labels: a censored one lies in its bucket or beyond, as likely as the model says."""
        hidden, own = np.signbit(y), bucket_of(np.abs(y), self.edges_)
        share = np.bincount(own[~hidden], sample_weight[~hidden], self.prior_.size).astype(np.float64)
        decode, rows = self._tilted(self.prior_), np.flatnonzero(hidden)
        for start in range(0, rows.size, _BLOCK):
            block = rows[start : start + _BLOCK]
            p = decode(raw[block].astype(np.float64))
            p[np.arange(p.shape[1]) < own[block, None]] = 0.0
            p[p.sum(axis=1) <= 0.0, -1] = 1.0
            share += (sample_weight[block] / p.sum(axis=1)) @ p
        return np.asarray(share / share.sum())

    def meet(self, shares: Floats, raw_prediction: Floats, sample_weight: Floats) -> None:
        """The carrier at which rows of these scores and weights expect of every bucket its share."""
        raw = np.asarray(raw_prediction, dtype=np.float64).reshape(len(raw_prediction), self.n_outputs)
        if self.prior_.size > 1:

            def expected(carrier: Floats) -> Floats:
                return self._expected(carrier, raw, sample_weight)

            self.prior_ = met(expected, self._tilted, self.prior_, shares, (raw, sample_weight))

    def _expected(self, carrier: Floats, raw: Any, sample_weight: Any, in_single: bool = False) -> Floats:
        """The weighted mean of the rows' probabilities by a carrier, shape (K,)."""
        function, arguments = rows.probability_sums(self.n_outputs, in_single), self.arguments()
        arguments.table[0] = np.log(carrier)
        found = kernels.row_sums(function, arguments, raw, sample_weight, in_single)
        return np.asarray(found / found.sum())

    def _tilted(self, carrier: Floats) -> Callable[[Floats], Floats]:
        """From raw scores of low rank to probabilities, by this carrier."""
        start = np.log(carrier)
        # Not `raw @ basis_`, whose last digits depend on how many rows there are.
        return lambda raw: softmax(np.einsum("nr,rk->nk", raw, self.basis_) + start)

    def probabilities(self, raw_prediction: ArrayLike) -> Floats:
        raw = np.asarray(raw_prediction, dtype=np.float64)
        raw = raw.reshape(len(raw), self.n_outputs)
        return softmax(raw.copy()) if self.rank is None else self._tilted(self.prior_)(raw)

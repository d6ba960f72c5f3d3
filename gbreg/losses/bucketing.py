"""What losses over buckets of the labels share: the buckets themselves, and decoding their probabilities."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg import _kernels as kernels
from gbreg._checks import Floats, check_finite
from gbreg._discretize import bucket_of, make_edges, representatives, spans
from gbreg.distribution import Bucketed, Distribution
from gbreg.distribution.base import row_blocks
from gbreg.links import Log
from gbreg.losses.vector import VectorLoss


def row_bucket(y, edges):  # type: ignore[no-untyped-def]
    """The number of edges at or below y, by bisection without branches, which labels would have the processor mispredict."""
    first, size = 0, edges.shape[0]
    while size > 0:
        half = (size + 1) // 2
        first += half if edges[first + half - 1] <= y else 0
        size -= half
    return first


def softmax(logits: Floats) -> Floats:
    """Each row's logits, which it overwrites, as probabilities.

    Compiled exponentials take 3.5 ns, numpy's 9, and scipy's checks alone longer than a booster does for a row.
    """
    logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
    shares = kernels.map_scalar(Log.inverse, logits.ravel()).reshape(logits.shape)
    shares /= np.add.reduce(shares, axis=1, keepdims=True)
    return shares


class BucketLoss(VectorLoss):
    """A loss whose raw scores give the probabilities of buckets of the labels. Subclasses write `probabilities`.

    Attributes
    ----------
    edges_ : ndarray of shape (K - 1,)
    representatives_, low_, high_, prior_ : ndarrays of shape (K,)
        Of each bucket: its representative, least and greatest label, and share of the weight.
    """

    functional = "distribution (mean)"
    options: dict[str, tuple[Any, ...]] = {"representative": ("mean", "median")}

    n_buckets: int
    edges: str | ArrayLike
    representative: str
    tail_shape: float | None = None

    edges_: Floats
    representatives_: Floats
    low_: Floats
    high_: Floats
    prior_: Floats

    @abstractmethod
    def probabilities(self, raw_prediction: ArrayLike) -> Floats:
        """Of each bucket, shape (n_samples, K), from complete raw scores of shape (n_samples, n_outputs)."""

    def check_parameters(self) -> None:
        super().check_parameters()
        for name, allowed in self.options.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{type(self).__name__}: {name}={getattr(self, name)!r} must be one of {', '.join(map(repr, allowed))}"
                )

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        # Engines keep labels in float32: edges that are float32 numbers meet them as they meet the labels themselves.
        edges, ends = make_edges(y, sample_weight, self.n_buckets, self.edges), y[sample_weight > 0]
        y = y.astype(np.float32).astype(np.float64)
        edges = np.unique(edges.astype(np.float32).astype(np.float64))
        held = np.unique(bucket_of(y[sample_weight > 0], edges))
        if held.size == 1 and self.constant_ is None:
            raise ValueError(
                f"{type(self).__name__}: edges={self.edges!r} put all labels ({y.min():g} to {y.max():g}, in the engines' "
                "float32) into one bucket, which leaves nothing to learn: give edges between them, or rescale the target"
            )
        self.edges_ = edges[held[1:] - 1]
        self.representatives_ = representatives(y, sample_weight, self.edges_, self.representative)
        self.low_, self.high_ = spans(y, sample_weight, self.edges_)
        # Labels themselves have a density, not what float32 makes of them.
        self.low_[0], self.high_[-1] = min(self.low_[0], ends.min()), max(self.high_[-1], ends.max())
        share = np.bincount(bucket_of(y, self.edges_), weights=sample_weight, minlength=held.size)
        self.prior_ = share / share.sum()

    def distribution(self, raw_prediction: ArrayLike) -> Distribution:
        """A `Bucketed` distribution a row, from complete raw scores of shape (n_samples, n_outputs)."""
        raw = np.asarray(raw_prediction, dtype=np.float64)
        raw = raw.reshape(len(raw), self.n_outputs)
        check_finite(raw, "raw_prediction")
        table = self.edges_, self.low_, self.high_, self.representatives_
        return Bucketed.decoded(*table, raw, copy(self).probabilities, self.tail_shape)

    def predict(self, raw_prediction: ArrayLike) -> Floats:
        raw, means = np.asarray(raw_prediction, dtype=np.float64), self.representatives_
        blocks = row_blocks(len(raw), means.size)
        return np.concatenate([np.einsum("nk,k->n", self.probabilities(raw[block]), means) for block in blocks])

"""The carrier of a low-rank softmax, its probabilities at scores of 0, learnt from the training rows' scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg import LinAlgError, solve

from gbreg._checks import Floats

# Rows whose probabilities of all buckets are held at once.
_BLOCK = 2**13
# The logarithm of a probability moves at most this far in a step, and what has a logarithm stays above the least.
_FAR = 10.0
_LEAST = 1e-300
# How near, relative, every bucket has come to its share in the end.
_MET = 1e-7
_STEPS = 30

Probabilities = Callable[[Floats], Floats]


def _blocks(probabilities: Probabilities, raw: Floats, weight: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Shares of the weight and probabilities, block after block of rows."""
    share = weight / weight.sum()
    for start in range(0, len(raw), _BLOCK):
        rows = slice(start, start + _BLOCK)
        yield share[rows], probabilities(raw[rows])


def expected(probabilities: Probabilities, raw: Floats, weight: Floats) -> Floats:
    """Weighted mean over the rows of their probabilities, shape (K,)."""
    return np.sum([share @ p for share, p in _blocks(probabilities, raw, weight)], axis=0)  # type: ignore[no-any-return]


def _products(probabilities: Probabilities, raw: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """What `expected` gives, and the weighted mean of products of two probabilities, shape (K, K)."""
    parts = [(share @ p, (share[:, None] * p).T @ p) for share, p in _blocks(probabilities, raw, weight)]
    means, products = zip(*parts, strict=True)
    return np.sum(means, axis=0), np.sum(products, axis=0)


def scaled(carrier: Floats, shares: Floats, found: Floats) -> Floats:
    """The carrier times shares over found: generalised iterative scaling, a step that never raises the loss.

    Its bound of the loss is a sum over buckets, so that each may go less far than it could.
    Darroch & Ratcliff (1972), doi:10.1214/aoms/1177692379.
    """
    return _moved(carrier, np.log(np.maximum(shares, _LEAST)) - np.log(np.maximum(found, _LEAST)))


def met(tilted: Callable[[Floats], Probabilities], carrier: Floats, shares: Floats, raw: Floats, weight: Floats) -> Floats:
    """The carrier at which the rows expect of every bucket its share: the one of the least loss at these scores.

    Newton steps; where one leads away, a step of scaling.

    Parameters
    ----------
    tilted : callable
        From a carrier to the function from raw scores to probabilities.
    carrier, shares : arrays of shape (K,)
    raw : array of shape (n_samples, n_outputs)
    weight : array of shape (n_samples,)
    """
    now = _products(tilted(carrier), raw, weight)
    for _ in range(_STEPS):
        if (np.abs(now[0] - shares) <= _MET * shares + 1e-15).all():
            break
        ahead = _newton(carrier, shares, *now)
        there = _products(tilted(ahead), raw, weight)
        if not np.abs(there[0] - shares).sum() < np.abs(now[0] - shares).sum():
            ahead = scaled(carrier, shares, now[0])
            there = _products(tilted(ahead), raw, weight)
        carrier, now = ahead, there
    return carrier


def _newton(carrier: Floats, shares: Floats, found: Floats, products: Floats) -> Floats:
    try:
        # A constant on all logarithms changes nothing: curvature in that direction, which asks for no step, does no harm.
        step = solve(np.diag(found) - products + 1.0 / carrier.size**2, shares - found, assume_a="pos")
    except (LinAlgError, ValueError):  # not positive definite, or not finite
        return carrier
    return _moved(carrier, step)


def _moved(carrier: Floats, step: Floats) -> Floats:
    logarithm = np.log(carrier) + np.clip(step, -_FAR, _FAR)
    moved = np.maximum(np.exp(logarithm - logarithm.max()), _LEAST)
    return moved / moved.sum()  # type: ignore[no-any-return]

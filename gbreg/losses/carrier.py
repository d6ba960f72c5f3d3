"""The carrier of a low-rank softmax, its probabilities at scores of 0, learnt from the training rows' scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError, solve

from gbreg._checks import Floats

# About so many rows give a Newton step its curvature.
_SOME = 2**13
# The logarithm of a probability moves at most this far in a step, and what has a logarithm stays above the least.
_FAR = 10.0
_LEAST = 1e-300
# How near, relative, every bucket has come to its share in the end.
_MET = 1e-7
_STEPS = 30

Expected = Callable[[Floats], Floats]
Probabilities = Callable[[Floats], Floats]
Rows = tuple[Floats, Floats]


def scaled(carrier: Floats, shares: Floats, found: Floats) -> Floats:
    """The carrier times shares over found: generalised iterative scaling, a step that never raises the loss.

    Its bound of the loss is a sum over buckets, so that each may go less far than it could.
    Darroch & Ratcliff (1972), doi:10.1214/aoms/1177692379.
    """
    return _moved(carrier, np.log(np.maximum(shares, _LEAST)) - np.log(np.maximum(found, _LEAST)))


def met(
    expected: Expected, tilted: Callable[[Floats], Probabilities], carrier: Floats, shares: Floats, rows: Rows
) -> Floats:
    """The carrier at which the rows expect of every bucket its share: the one of the least loss at these scores.

    Newton steps, with a curvature from some of the rows; where one leads away, a step of scaling.

    Parameters
    ----------
    expected : callable
        From a carrier to what all rows expect under it.
    tilted : callable
        From a carrier to the function from raw scores to probabilities.
    carrier, shares : arrays of shape (K,)
    rows : (array of shape (n_samples, n_outputs), array of shape (n_samples,))
        Raw scores and weights.
    """
    some = slice(None, None, max(1, len(rows[1]) // _SOME))
    raw, weight = rows[0][some], rows[1][some]
    found = expected(carrier)
    for _ in range(_STEPS):
        if (np.abs(found - shares) <= _MET * shares + 1e-15).all():
            break
        ahead = _newton(carrier, shares, found, tilted(carrier)(raw), weight)
        there = expected(ahead)
        if not np.abs(there - shares).sum() < np.abs(found - shares).sum():
            ahead = scaled(carrier, shares, found)
            there = expected(ahead)
        carrier, found = ahead, there
    return carrier


def _newton(carrier: Floats, shares: Floats, found: Floats, p: Floats, weight: Floats) -> Floats:
    products = (weight[:, None] * p).T @ p / weight.sum()
    # As if these rows expected what all do: the curvature stays that of a distribution.
    scale = np.sqrt(found / np.maximum(products.sum(axis=1), _LEAST))
    products *= scale[:, None] * scale
    curvature = np.diag(found) - products
    try:
        # A constant on all logarithms changes nothing: curvature in that direction, which asks for no step, does no harm.
        step = solve(curvature + 1.0 / carrier.size**2, shares - found, assume_a="pos")
    except (LinAlgError, ValueError):  # not positive definite, or not finite
        return carrier
    return _moved(carrier, step)


def _moved(carrier: Floats, step: Floats) -> Floats:
    logarithm = np.log(carrier) + np.clip(step, -_FAR, _FAR)
    moved = np.maximum(np.exp(logarithm - logarithm.max()), _LEAST)
    return moved / moved.sum()  # type: ignore[no-any-return]

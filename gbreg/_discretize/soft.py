"""Soft labels: the distribution over buckets that a label stands for, so that near misses cost less than far ones.

What one row needs is written as plain scalar functions and loops, to be compiled into kernels; `soft_labels` runs the
same code in Python, for tests and plots.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, check_finite, check_one_dimensional
from gbreg._discretize.edges import bucket_of

NORMAL, LAPLACE, HL_GAUSS, TWO_HOT = range(4)
KINDS = {"normal": NORMAL, "laplace": LAPLACE, "hl_gauss": HL_GAUSS, "two_hot": TWO_HOT}
# Of the local width: a label this sharp is the hard one, and its tilt can still be solved in float64.
LEAST_SIGMA = 1e-3
_SQRT2 = math.sqrt(2.0)
_LOG_SQRT_PI = 0.5 * math.log(math.pi)


def local_widths(points: Floats) -> Floats:
    """Half the distance between the neighbours of each of K increasing points; at the ends, to the one neighbour.

    >>> local_widths(np.array([0.0, 1.0, 5.0]))
    array([1. , 2.5, 4. ])
    """
    if points.size == 1:
        return np.ones(1)
    gaps = np.diff(points)
    widths: Floats = 0.5 * (np.append(gaps[0], gaps) + np.append(gaps, gaps[-1]))
    return widths


def row_sigma(x: float, a: float, power: float, width: float) -> float:
    """``a * abs(x)**power``, or the local width where a = 0; never below `LEAST_SIGMA` of the local width."""
    return max(a * abs(x) ** power if a > 0.0 else width, LEAST_SIGMA * width)


def _log_erfc(x: float) -> float:
    if x < 25.0:
        return math.log(math.erfc(x))
    s = 1.0 / (x * x)
    return math.log1p(s * (-0.5 + s * (0.75 - 1.875 * s))) - math.log(x) - _LOG_SQRT_PI - x * x


def _log_normal_mass(low: float, high: float) -> float:
    """ln of the normal mass between two ends, in units of sqrt(2) sigma, finite far out in the tails."""
    a, b = (-high, -low) if high < 0.0 else (low, high)
    if a <= 0.0:
        mass = 0.5 * (math.erf(b) - math.erf(a))
        return math.log(mass) if mass > 0.0 else -math.inf
    near = _log_erfc(a)
    mass = -0.5 * math.expm1(_log_erfc(b) - near)
    return near + math.log(mass) if mass > 0.0 else -math.inf


def log_weight(kind: int, x: float, k: int, points: Floats, edges: Floats, sigma: float) -> float:
    """ln of bucket k's weight in the soft label of x, before it is normalised; everything in the space of the label."""
    if kind == NORMAL:
        d = (points[k] - x) / sigma
        return float(-0.5 * d * d)
    if kind == LAPLACE:
        return float(-abs(points[k] - x) / sigma)
    last = points.shape[0] - 1
    if kind == HL_GAUSS:
        low = (edges[k - 1] - x) / (_SQRT2 * sigma) if k > 0 else -math.inf
        high = (edges[k] - x) / (_SQRT2 * sigma) if k < last else math.inf
        return _log_normal_mass(low, high)
    share = 1.0
    if x < points[k] and k > 0:
        share = (x - points[k - 1]) / (points[k] - points[k - 1])
    elif x > points[k] and k < last:
        share = (points[k + 1] - x) / (points[k + 1] - points[k])
    return math.log(share) if share > 0.0 else -math.inf


def _balance(rate: float, y: float, scale: float, representatives: Floats, log_weights: Floats) -> tuple[float, float]:
    """ln of the pull above y over the pull below it under weights tilted by exp(rate m / scale), and its slope in rate."""
    most_up = most_down = -math.inf
    for k in range(representatives.shape[0]):
        z = (representatives[k] - y) / scale
        if z > 0.0:
            most_up = max(most_up, log_weights[k] + rate * z + math.log(z))
        elif z < 0.0:
            most_down = max(most_down, log_weights[k] + rate * z + math.log(-z))
    if most_up == -math.inf or most_down == -math.inf:
        return 0.0, 1.0  # all weight on one side, or on y itself: no tilt helps
    up = down = slope_up = slope_down = 0.0
    for k in range(representatives.shape[0]):
        z = (representatives[k] - y) / scale
        if z > 0.0:
            w = math.exp(log_weights[k] + rate * z + math.log(z) - most_up)
            up += w
            slope_up += w * z
        elif z < 0.0:
            w = math.exp(log_weights[k] + rate * z + math.log(-z) - most_down)
            down += w
            slope_down -= w * z
    return most_up - most_down + math.log(up) - math.log(down), slope_up / up + slope_down / down


def tilt_rate(y: float, scale: float, representatives: Floats, log_weights: Floats) -> float:
    """The rate at which weights tilted by ``exp(rate * m_k / scale)`` have mean y, ``m_0 < y < m_{K-1}``.

    `scale` is the distance between the nearest representatives below and above y: the slope of the balance is then at
    least 1, which brackets the root. Logarithms of the two pulls make Newton's method all but exact.
    """
    balance, slope = _balance(0.0, y, scale, representatives, log_weights)
    low, high, rate = min(0.0, -balance), max(0.0, -balance), 0.0
    for _ in range(200):
        if abs(balance) < 1e-13 or high - low <= 1e-15 * max(abs(low), abs(high)):
            break
        if balance > 0.0:
            high = rate
        else:
            low = rate
        rate -= balance / slope
        if not low < rate < high:
            rate = 0.5 * (low + high)
        balance, slope = _balance(rate, y, scale, representatives, log_weights)
    return rate


def _settle(y: float, below: int, above: int, representatives: Floats, out: Floats) -> None:
    """Make up what rounding left of the mean's error by a little of the neighbour on the other side of y."""
    excess = 0.0
    for k in range(out.shape[0]):
        excess += out[k] * (representatives[k] - y)
    if excess != 0.0:
        other = below if excess > 0.0 else above
        share = abs(excess) / (abs(excess) + abs(representatives[other] - y))
        for k in range(out.shape[0]):
            out[k] *= 1.0 - share
        out[other] += share


def _neighbours(y: float, bucket: int, representatives: Floats) -> tuple[int, int]:
    """The nearest representatives below and above y that are not y itself, for a bucket that is not an outer one."""
    below, above = bucket - 1, bucket + 1
    if representatives[bucket] < y:
        below = bucket
    elif representatives[bucket] > y:
        above = bucket
    return below, above


def label_tilt(
    kind: int,
    y: float,
    x: float,
    bucket: int,
    points: Floats,
    edges: Floats,
    representatives: Floats,
    sigma: float,
    work: Floats,
) -> float:
    """The rate by which `soft_label` tilts one row's weights so that their mean is y; 0 in the outer buckets."""
    if bucket == 0 or bucket == work.shape[0] - 1:
        return 0.0
    for k in range(work.shape[0]):
        work[k] = log_weight(kind, x, k, points, edges, sigma)
    below, above = _neighbours(y, bucket, representatives)
    return tilt_rate(y, representatives[above] - representatives[below], representatives, work)


def soft_label(
    kind: int,
    y: float,
    x: float,
    bucket: int,
    points: Floats,
    edges: Floats,
    representatives: Floats,
    sigma: float,
    unbiased: bool,
    rate: float,
    out: Floats,
) -> None:
    """Fill `out`, shape (K,), with one row's soft label, tilted by the rate that `label_tilt` gives where it is unbiased.

    `y` and `representatives` are in the unit of the target; `x` (the label), `points`, `edges` and `sigma` in the space in
    which distances are measured.
    """
    n_buckets = out.shape[0]
    if unbiased and (bucket == 0 or bucket == n_buckets - 1):
        for k in range(n_buckets):
            out[k] = 0.0
        out[bucket] = 1.0
        return
    for k in range(n_buckets):
        out[k] = log_weight(kind, x, k, points, edges, sigma)
    below, above = _neighbours(y, bucket, representatives) if unbiased else (0, 0)
    if unbiased:
        scale = representatives[above] - representatives[below]
        for k in range(n_buckets):
            out[k] += rate * ((representatives[k] - y) / scale)
    most = -math.inf
    for k in range(n_buckets):
        most = max(most, out[k])
    total = 0.0
    for k in range(n_buckets):
        out[k] = math.exp(out[k] - most)
        total += out[k]
    for k in range(n_buckets):
        out[k] /= total
    if unbiased:
        for _ in range(2):  # the second time, for what the first rounds away where labels are sharp and far apart
            _settle(y, below, above, representatives, out)


def soft_labels(
    y: ArrayLike,
    edges: ArrayLike,
    representatives: ArrayLike,
    kind: str = "normal",
    sigma: float | tuple[float, float] | None = None,
    space: str = "raw",
    at: str = "representative",
    largest: float | None = None,
    unbiased: bool = False,
) -> Floats:
    r"""The soft labels of a few rows, as an array.

    Parameters
    ----------
    y : array of shape (n,)
        Labels, in the unit of the target.
    edges : array of shape (K - 1,)
    representatives : array of shape (K,)
        Strictly increasing, one in each bucket.
    kind : {"normal", "laplace", "hl_gauss", "two_hot"}, default "normal"
        ``q_k`` proportional to ``exp(-(b_k - y)**2 / (2 sigma**2))`` or to ``exp(-abs(b_k - y) / sigma)``; the normal mass
        between the edges of bucket k (the outer buckets are open); or linear between the two nearest representatives.
    sigma : float, (a, power) or None, default None
        None is one local width (`local_widths` of the representatives, in the bucket of y); a pair is ``a * y**power``. In
        the unit of `space`, y too. Never below 1e-3 of the local width. "two_hot" ignores it.
    space : {"raw", "log"}, default "raw"
        Distances of y, or of ln(1 + y).
    at : {"representative", "upper_edge"}, default "representative"
        b_k, for "normal" and "laplace".
    largest : float, optional
        Upper edge of the last bucket; by default the largest of y, at least the last representative.
    unbiased : bool, default False
        Tilt q_k by ``exp(rate * m_k)`` so that ``sum_k m_k q_k = y``, m in the unit of the target; of all distributions
        with this mean that is the nearest to q in Kullback-Leibler divergence. Rows of the first and of the last bucket,
        where no weights may have this mean, take the hard label: right in sum, where m are the means.

    Returns
    -------
    ndarray of shape (n, K)
        Rows sum to 1.

    Raises
    ------
    ValueError
        For parameters outside their range, and labels below 0 in the log space.

    Notes
    -----
    "hl_gauss": Imani & White (2018), "Improving Regression Performance with Distributional Losses".

    Examples
    --------
    >>> soft_labels([2.0], [1.0, 3.0, 5.0], [0.5, 2.0, 4.0, 9.0], sigma=1.0).round(3)
    array([[0.222, 0.685, 0.093, 0.   ]])
    >>> soft_labels([2.0], [1.0, 3.0, 5.0], [0.5, 2.0, 4.0, 9.0], sigma=1.0, unbiased=True) @ [0.5, 2.0, 4.0, 9.0]
    array([2.])
    """
    y, edges, m = (np.asarray(values, dtype=np.float64) for values in (y, edges, representatives))
    for name, given, options in (("kind", kind, KINDS), ("space", space, ("raw", "log"))):
        if given not in options:
            raise ValueError(f"{name}={given!r} must be one of {', '.join(map(repr, options))}")
    if at not in (("representative", "upper_edge") if kind in ("normal", "laplace") else ("representative",)):
        raise ValueError(f"at={at!r} must be 'representative' or, for kind='normal' and 'laplace' only, 'upper_edge'")
    if m.shape != (edges.size + 1,) or not (np.diff(m) > 0).all() or (bucket_of(m, edges) != np.arange(m.size)).any():
        raise ValueError("representatives must be strictly increasing, one in each bucket: take those of the same edges")
    check_one_dimensional(y, "y")
    check_finite(y, "y")
    a, power = (0.0, 0.0) if sigma is None else sigma if isinstance(sigma, tuple) else (sigma, 0.0)
    if sigma is not None and not (0 < a < math.inf and math.isfinite(power)):
        raise ValueError(f"sigma={sigma!r} must be positive, a pair (a, power) with a > 0, or None for the local width")
    if space == "log" and min(y.min(initial=0.0), m[0]) < 0:
        raise ValueError("space='log' needs labels and representatives >= 0: use space='raw'")
    top = max(y.max(initial=m[-1]) if largest is None else largest, m[-1])
    points = m if at == "representative" else np.append(edges, top)
    x, centres = y, m
    if space == "log":
        x, points, centres = np.log1p(y), np.log1p(points), np.log1p(m)
    limits = np.log1p(edges) if space == "log" else edges
    bucket, widths, out = bucket_of(y, edges), local_widths(centres), np.empty((y.size, m.size))
    for i, k in enumerate(bucket.tolist()):
        spread = row_sigma(float(x[i]), a, power, float(widths[k]))
        label = KINDS[kind], float(y[i]), float(x[i]), k, points, limits, m, spread
        rate = label_tilt(*label, out[i]) if unbiased else 0.0
        soft_label(*label, unbiased, rate, out[i])
    return out

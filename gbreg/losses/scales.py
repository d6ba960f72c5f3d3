"""What labels say of their own scale."""

from __future__ import annotations

import numpy as np

from gbreg._checks import Floats


def weighted_quantile(y: Floats, q: float, sample_weight: Floats) -> float:
    """The smallest label at which the weight to its left reaches q: an integer weight equals repetition."""
    return float(np.quantile(y, q, weights=sample_weight, method="inverted_cdf"))


def label_scale(y: Floats, sample_weight: Floats) -> float:
    """Weighted median absolute deviation; if 0, the weighted mean of abs(y - median); if that is 0 too, 1."""
    deviation = np.abs(y - weighted_quantile(y, 0.5, sample_weight))
    mad = weighted_quantile(deviation, 0.5, sample_weight)
    return mad or float(np.average(deviation, weights=sample_weight)) or 1.0


def smoothing_width(y: Floats, sample_weight: Floats) -> float:
    """Half the width of the parabola that rounds off a kink: 1e-3 of the labels' scale, and above their rounding."""
    return max(1e-3 * label_scale(y, sample_weight), 1e-12 * float(np.abs(y).max()))

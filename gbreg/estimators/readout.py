"""One fitted distribution, many readouts."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from gbreg._checks import Floats

if TYPE_CHECKING:
    from gbreg.distribution import Distribution

Functional = str | float | None
READOUTS = ("mean", "median", "mode", "log_mean")


def read(distribution: Distribution, functional: Functional) -> Floats:
    """One number a row, shape (n_samples,): ``"log_mean"`` ranks, ``"mean"`` bids, a float in (0, 1) is a quantile.

    "log_mean" is ``E[ln(1 + y)]``, in log units.

    Raises
    ------
    ValueError
        For a name that is not one of the readouts, and a quantile outside (0, 1).
    """
    if functional in READOUTS:
        return getattr(distribution, str(functional))()  # type: ignore[no-any-return]
    if isinstance(functional, Real) and not isinstance(functional, bool) and 0 < functional < 1:
        return distribution.quantile(float(functional))
    raise ValueError(f"functional={functional!r} must be one of {', '.join(READOUTS)}, or a quantile in (0, 1)")

"""Soft labels: how far a label's bucket lends to its neighbours.

sigma, on the scale of ln(1 + y), is searched from a quarter of the median bucket's width to eight times it. unbiased tilts
each soft label until its mean is the label: without it, wide ones lower the sum.

    python tuning/distill.py TABLE --target COLUMN [--metric normalized_gini] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import BucketRegressor
from gbreg.tuning import Choice


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    model = BucketRegressor(soft="normal", space="log", unbiased=True, **recipe.boosting)
    buckets = dict.fromkeys(("n_buckets", "edges", "rank"))  # as they are, see softmax.py
    recipe.run(model, "normalized_gini", space={"soft": Choice(("normal", "laplace", "hl_gauss")), **buckets})


if __name__ == "__main__":
    main()

"""Softmax over buckets: how many, where their edges are, and of which rank.

96 buckets of rank 2 are the defaults; more buckets follow a heavy tail further, a higher rank lets the shape of the
distribution differ more from row to row.

    python tuning/softmax.py TABLE --target COLUMN [--metric normalized_gini] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import BucketRegressor
from gbreg.tuning import Choice, Integers


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    model = BucketRegressor(**recipe.boosting)
    space = {
        "n_buckets": Integers(16, 256),
        "edges": Choice(("mixed", "quantile", "exp")),
        "rank": Integers(1, 6),
        "zeros": Choice(("hurdle", "bucket")),
    }
    recipe.run(model, "normalized_gini", space=space)


if __name__ == "__main__":
    main()

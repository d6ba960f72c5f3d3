"""Which loss at all: every built-in one on several links, and the estimators of several parts, with their parameters.

Every model is tried as it is first, so a budget below 50 trials is little more than a comparison of defaults. The default
it is held against is squared error.

    python tuning/loss_search.py TABLE --target COLUMN [--metric xauc] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import GBRegressor


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    recipe.run(GBRegressor(**recipe.boosting), "xauc", losses="all")


if __name__ == "__main__":
    main()

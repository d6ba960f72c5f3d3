"""ZILN: whether a customer pays, and how much, log-normally.

The loss has no parameter of its own: what is tuned is how finely and how strongly regularised both parts are. Judged by who
is worth most.

    python tuning/ziln.py TABLE --target COLUMN [--metric normalized_gini] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import ZILNRegressor
from gbreg.tuning import Integers, LogUniform


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    model = ZILNRegressor(**recipe.boosting)
    space = {"min_child_samples": Integers(20, 1000), "reg_lambda": LogUniform(0.1, 1e4)}
    recipe.run(model, "normalized_gini", space=space)


if __name__ == "__main__":
    main()

"""Ordinal thresholds: how many, where, and whether rows may differ in spread.

One score a row is held against thresholds that all rows share; with spread a second score says how sure the first one is.
The median is read, which is what MAE asks for.

    python tuning/ordinal.py TABLE --target COLUMN [--metric mae] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import OrdinalRegressor
from gbreg.tuning import Choice, Integers


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    model = OrdinalRegressor(functional="median", **recipe.boosting)
    space = {"n_buckets": Integers(16, 256), "edges": Choice(("mixed", "quantile")), "spread": Choice((False, True))}
    recipe.run(model, "mae", space=space)


if __name__ == "__main__":
    main()

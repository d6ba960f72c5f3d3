"""Huber: from which error on to stop squaring it, with the booster's parameters.

delta is counted in median absolute deviations of the labels, so its range is the same in any currency. Small deltas are near
the absolute error and low in sum, large ones are the squared error: tuned for MAE it goes to the former.

    python tuning/huber.py TABLE --target COLUMN [--metric mae] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import GBRegressor
from gbreg.losses import Huber
from gbreg.tuning import LogUniform


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    model = GBRegressor(Huber(), **recipe.boosting)
    recipe.run(model, "mae", space={"loss__delta": LogUniform(0.05, 100.0)})


if __name__ == "__main__":
    main()

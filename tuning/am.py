"""AM: the price of an error below and above the label, and where in between to stop squaring it.

Its bounds lb and ub are ratios of prediction to label. AM makes predictions too low or too high in sum on purpose or by
accident; here each trial is calibrated inside the fold, so that what is tuned is the order and shape, not the level.

    python tuning/am.py TABLE --target COLUMN [--metric wmape] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import GBRegressor
from gbreg.losses import AM
from gbreg.tuning import LogUniform


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    loss = AM(link="log", label_floor=recipe.floor)
    model = GBRegressor(loss, calibration="ratio", early_stopping_rounds=50, **recipe.boosting)
    recipe.run(model, "wmape", space={"loss__lb": LogUniform(0.005, 0.5), "loss__ub": LogUniform(2.0, 200.0)})


if __name__ == "__main__":
    main()

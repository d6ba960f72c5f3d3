"""Huberpp: from which relative error on to stop squaring it, and how flat the loss is then.

On the log link, where predictions cannot be negative. Errors are relative to the label, hence the floor: labels below a
tenth of the median positive one count as that. delta is a ratio: 1 is twice the label.

    python tuning/huberpp.py TABLE --target COLUMN [--metric wmape] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import GBRegressor
from gbreg.losses import Huberpp
from gbreg.tuning import LogUniform


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    model = GBRegressor(Huberpp(link="log", label_floor=recipe.floor), **recipe.boosting)
    recipe.run(model, "wmape", space={"loss__delta": LogUniform(0.05, 20.0)})


if __name__ == "__main__":
    main()

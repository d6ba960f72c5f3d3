"""Weighted cross-entropy: which weight, and its cap.

identity weighs a positive by its label and predicts means; log2 weighs by log2(1 + y), ranks better on heavy tails and needs
its cap where a few labels are huge.

    python tuning/wce.py TABLE --target COLUMN [--metric xauc] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import WCERegressor
from gbreg.tuning import Choice


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    model = WCERegressor(**recipe.boosting)
    space = {"scheme": Choice(("identity", "log2")), "cap": Choice((None, 6.0, 8.0, 10.0, 12.0))}
    recipe.run(model, "xauc", space=space)


if __name__ == "__main__":
    main()

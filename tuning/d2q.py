"""D2Q: in how many groups of duration to rank, and with which loss.

Needs --duration, the column of durations. The score is that of predictions in the unit of the target, read off each group's
quantiles; XAUC within a user would reward the rank itself.

    python tuning/d2q.py TABLE --target COLUMN [--metric xauc] [--trials 50] [--storage study.db]
"""

from __future__ import annotations

from collections.abc import Sequence

from _recipe import start

from gbreg import D2QRegressor, GBRegressor
from gbreg.tuning import Integers


def main(argv: Sequence[str] | None = None) -> None:
    recipe = start(__file__, __doc__, argv)
    if recipe.options.duration is None:
        raise SystemExit("d2q.py ranks within groups of similar duration: name the column with --duration")
    model = D2QRegressor(GBRegressor(**recipe.boosting), group=recipe.options.duration)
    recipe.run(model, "xauc", space={"n_groups": Integers(4, 128)})


if __name__ == "__main__":
    main()

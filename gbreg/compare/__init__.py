"""Many losses on one table: fit each on every engine asked for, and say which to use and whether its numbers hold."""

from gbreg.compare.horizons import HorizonLeaderboard, compare_horizons
from gbreg.compare.leaderboard import Leaderboard, versions
from gbreg.compare.models import (
    boosted_parts,
    default_models,
    fitted_parts,
    loss_label,
    model_label,
    parse_loss,
    parse_model,
    parse_value,
    with_boosting,
)
from gbreg.compare.results import Profile, Row, Skipped
from gbreg.compare.run import READOUTS, compare
from gbreg.compare.shown import SHOWN, TITLES, badness, cell, number
from gbreg.compare.words import choice, data_words, sum_words, winners
from gbreg.engines import installed_engines

__all__ = [
    "READOUTS",
    "SHOWN",
    "TITLES",
    "HorizonLeaderboard",
    "Leaderboard",
    "Profile",
    "Row",
    "Skipped",
    "badness",
    "boosted_parts",
    "cell",
    "choice",
    "compare",
    "compare_horizons",
    "data_words",
    "default_models",
    "fitted_parts",
    "installed_engines",
    "loss_label",
    "model_label",
    "number",
    "parse_loss",
    "parse_model",
    "parse_value",
    "sum_words",
    "versions",
    "winners",
    "with_boosting",
]

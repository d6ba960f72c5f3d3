"""What the numbers of a leaderboard mean: plain sentences, in which `mark` sets off the names of models."""

from __future__ import annotations

import math
from collections.abc import Callable

from gbreg.compare.results import Results, Row
from gbreg.compare.shown import badness, cell, number

Mark = Callable[[str], str]

# Ranking scores closer than this are treated as equal when a compromise is suggested.
NEAR = 0.01


def on(engine: str) -> str:
    return f" on {engine}" if engine else ""


def _called(board: Results, row: Row, mark: Mark) -> str:
    several = len({r.engine for r in board.rows}) > 1
    read = f" read as its {row.readout.replace('_', ' ')}" if row.readout not in ("", "mean") else ""
    return f"{mark(row.loss)}{read}" + (on(row.engine) if several else "")


def sum_words(pcoc: float) -> str:
    """What a PCOC says about the sum of the predictions.

    >>> sum_words(0.4), sum_words(1.004)
    ('its sum is 60% low (PCOC 0.40)', 'its sum is right within 1% (PCOC 1.00)')
    """
    if math.isnan(pcoc):
        return "its sum cannot be judged (the labels sum to 0)"
    if pcoc <= 0:
        return f"its sum has the wrong sign or is 0 (PCOC {pcoc:.2f})"
    off = abs(pcoc - 1)
    if off < 0.01:
        return f"its sum is right within 1% (PCOC {pcoc:.2f})"
    if pcoc >= 2:
        return f"its sum is {pcoc:.1f} times the truth (PCOC {pcoc:.2f})"
    return f"its sum is {off:.0%} {'low' if pcoc < 1 else 'high'} (PCOC {pcoc:.2f})"


def _needs_calibration(pcoc: float) -> bool:
    return not 0.95 <= pcoc <= 1.05


def data_words(board: Results) -> str:
    """What the labels look like, and what that means for judging models."""
    p = board.profile
    zeros = f"{p.zeros_share:.0%} of the targets are 0 ({p.n_zeros:,})" if p.n_zeros else "No target is 0"
    weighted = ", weighted" * p.weighted
    if p.n_train:
        size = f"{p.n_rows:,} rows: {p.n_train:,} train, {p.n_test:,} test; {p.n_features} features{weighted}"
        mean = f"{number(p.mean_train)} in train and {number(p.mean_test)} in test"
    else:
        size, mean = f"{p.n_test:,} rows{weighted}", number(p.mean_test)
    said = [
        f"{size}. {zeros}; the mean is {mean}; the 99th percentile of the positive ones is {p.p99_over_median:.3g} times "
        "their median."
    ]
    if p.n_negative:
        said.append(f"{p.n_negative:,} targets are negative.")
    if p.zeros_share > 0.5:
        said.append(
            f"More than half are 0, so predicting 0 everywhere nearly wins the MAE (it has {number(p.zero_mae)}): judge by "
            f"{_RANKING[board.ranking]} together with PCOC."
        )
    if _needs_calibration(board.baseline.pcoc) and board.baseline.pcoc > 0:
        said.append(
            f"The mean moved by {1 / board.baseline.pcoc - 1:+.0%} from train to test: features can only partly "
            "follow such a drift, so expect the sum of every honest model to be off."
        )
    return " ".join(said)


_RANKING = {"normalized_gini": "normalised Gini", "spearman": "Spearman"}


def winners(board: Results, mark: Mark = str) -> list[str]:
    """One sentence on the best model by each metric."""
    if not board.rows:
        return ["No model was fitted: see why below."]
    if len(board.rows) == 1:
        return _alone(board, board.rows[0])
    said = []
    ranked = board.best(board.ranking)
    if ranked is not None:
        said.append(_ranking_words(board, ranked, mark))
    for metric, words in _WINS.items():
        row = board.best(metric)
        if row is not None:
            won = words.format(cell(metric, getattr(row, metric)))
            said.append(f"{_called(board, row, mark)} {won}{_contrast(board, row, metric)}.")
    least = board.best("rmse")
    if least is not None and least.rmse >= board.baseline.rmse:
        said.append(
            f"By RMSE no model beats the constant mean ({number(board.baseline.rmse)}): there a few huge rows decide, so "
            "look at ranking and sum."
        )
    wild = [_called(board, row, mark) for row in board.rows if _wild(board, row)]
    if wild:
        names = ", ".join(wild[:3]) + (f" and {len(wild) - 3} more" if len(wild) > 3 else "")
        said.append(
            f"By RMSE, {names} {'does' if len(wild) == 1 else 'do'} far worse than the constant mean "
            f"({number(board.baseline.rmse)}): some predictions are far off, or aim at something else than the mean."
        )
    return said


def _alone(board: Results, row: Row) -> list[str]:
    """What one model's numbers mean, where there is none to hold it against but the constant mean."""
    mean, ranking = board.baseline, cell(board.ranking, getattr(row, board.ranking))
    under, over = cell("under_2x", row.under_2x), cell("over_2x", row.over_2x)
    mend = ": calibrate before adding it up" if _needs_calibration(row.pcoc) else ": its numbers can be added up"
    chance = f", no better than chance ({_chance(board)})" if board.ranks_by_chance else ""
    return [
        f"Its {_RANKING[board.ranking]} is {ranking}{chance}, and {sum_words(row.pcoc)}{mend}.",
        f"Its MAE is {number(row.mae)} and its RMSE {number(row.rmse)}; those of a constant are {number(mean.mae)} and "
        f"{number(mean.rmse)}.",
        f"Tenths of the rows, by prediction, are {row.decile_error:.0%} of the mean off on average (decile error).",
        f"{under} of the rows are underestimated by more than a factor 2, {over} overestimated (any positive "
        "prediction for a 0 counts).",
    ]


_WINS = {
    "pcoc": "has the sum closest to the truth (PCOC {})",
    "mae": "has the least MAE ({}): closest on the typical row; on skewed targets that rewards medians, whose sum is low",
    "rmse": "has the least RMSE ({}): closest to the mean, and the large rows decide",
    "decile_error": "is best calibrated level by level (decile error {})",
    "under_2x": "has the fewest rows underestimated by more than a factor 2 ({})",
    "over_2x": "has the fewest rows overestimated by more than a factor 2 ({}; any positive prediction for a 0 counts)",
}


def _ranking_words(board: Results, row: Row, mark: Mark) -> str:
    called = _called(board, row, mark)
    if board.ranks_by_chance:
        best = f"{_RANKING[board.ranking]}, {cell(board.ranking, getattr(row, board.ranking))}"
        return f"No model ranks better than chance: {called} has the best {best} ({_chance(board)})."
    score = f"{_RANKING[board.ranking]} {getattr(row, board.ranking):.2f}"
    if row.readout == "log_mean":
        mean = _mean_of(board, row)
        return f"{called} ranks best ({score}); read as its mean, {sum_words(mean.pcoc)}."
    if _needs_calibration(row.pcoc):
        return f"{called} ranks best ({score}), but {sum_words(row.pcoc)}: calibrate before bidding with it."
    return f"{called} ranks best ({score}), and {sum_words(row.pcoc)}: its numbers can be added up."


def _chance(board: Results) -> str:
    return f"one of 40 random orders has more than {cell(board.ranking, board.profile.chance)}"


def _mean_of(board: Results, row: Row) -> Row:
    """The row of the same fit that is read as its mean; the row itself where there is one readout."""
    same = (r for r in board.rows if (r.loss, r.engine, r.readout) == (row.loss, row.engine, "mean"))
    return next(same, row)


def _contrast(board: Results, row: Row, metric: str) -> str:
    """What the winner of one metric pays elsewhere."""
    if metric in ("mae", "over_2x", "under_2x", "rmse") and _needs_calibration(row.pcoc):
        return f"; {sum_words(row.pcoc)}"
    best = board.best(board.ranking)
    if metric != "pcoc" or best is None or best is row or board.ranks_by_chance:
        return ""
    lost = getattr(best, board.ranking) - getattr(row, board.ranking)
    return f"; its {_RANKING[board.ranking]} is {lost:.3f} below the best" if lost >= 0.001 else ""


def choice(board: Results, mark: Mark = str) -> str:
    """The trade-off between ranking and sum, and a place to start."""

    def called(row: Row) -> str:
        return _called(board, row, mark)

    key, words = board.ranking, _RANKING[board.ranking]
    rows = [row for row in board.rows if not (math.isnan(_sum_of(board, row)) or math.isnan(getattr(row, key)))]
    rows = [row for row in rows if not _wild(board, row)] or rows
    if not rows:
        return "Ranking or sum has no value here (constant labels, or a sum of 0?): judge by MAE and RMSE."
    mend = "on rows that no model saw (CalibratedRegressor): a monotone map keeps the order and mends the sum."
    if len(board.rows) == 1:
        pcoc = _sum_of(board, rows[0])
        advice = f"Calibrate it {mend}" if _needs_calibration(pcoc) else "Its numbers can be added up."
        return f"Of {called(rows[0])}, {sum_words(pcoc)}. {advice}"
    ranked = max(rows, key=lambda row: float(getattr(row, key)))
    summed = min(rows, key=lambda row: badness("pcoc", row.pcoc) if row.pcoc == row.pcoc else math.inf)
    if board.ranks_by_chance:
        return (
            "No model here ranks better than chance: look for better features, or test on more rows. The sum of "
            f"{called(summed)} comes nearest to the truth: {sum_words(summed.pcoc)}."
        )
    near = [row for row in rows if getattr(row, key) >= getattr(ranked, key) - NEAR]
    both = min(near, key=lambda row: (badness("pcoc", _sum_of(board, row)), -getattr(row, key)))
    total = sum_words(_sum_of(board, both))
    if both.readout == "log_mean":
        total = f"read as its mean, {total}"
    if not _needs_calibration(_sum_of(board, both)):
        ranks = "it ranks best" if both is ranked else f"it ranks nearly as well as the best (within {NEAR} of its {words})"
        return f"Start with {called(both)}: {ranks}, and {total}."
    if _needs_calibration(summed.pcoc):
        return (
            f"No model here gets the sum right. Start with {called(both)}, which of those that rank best comes "
            f"nearest: {total}. Calibrate it {mend}"
        )
    return (
        f"No model here has both. To order rows, take {called(ranked)}. For amounts that must add up, "
        f"take {called(summed)}: {sum_words(summed.pcoc)}. Or calibrate {called(ranked)} {mend}"
    )


def _sum_of(board: Results, row: Row) -> float:
    """PCOC of the row or, for a log mean, of the mean that the same fit gives."""
    return float(_mean_of(board, row).pcoc if row.readout == "log_mean" else row.pcoc)


def _wild(board: Results, row: Row) -> bool:
    """Whether predictions are so far off that a constant has a much smaller RMSE; on noisy tails a little is nothing."""
    return bool(row.rmse > 1.2 * board.baseline.rmse)

"""Optuna's own plots of a study, in the house's look, and the recipes of a search over losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from gbreg.plots.style import PALETTE, amount, finish
from gbreg.reporting.pictures import DPI, HEIGHT, WIDTH, encoded, shortened

# Fewer complete trials say nothing of which parameters matter.
LEAST_FOR_IMPORTANCES = 8
LONGEST_TICK = 34
# Scores this many times as far from the best as the median one are not shown: they would flatten all others.
FAR = 4.0
BEST = PALETTE[1]


def complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def limits(scores: Sequence[float], maximize: bool) -> tuple[float, float]:
    """The least and greatest score to show, without those far behind.

    >>> limits([1.0, 1.1, 1.2, 900.0], maximize=False)
    (1.0, 1.6)
    >>> limits([0.2, 0.5, 0.7], maximize=True)
    (0.2, 0.7)
    """
    values = np.asarray(scores, dtype=np.float64)
    best = values.max() if maximize else values.min()
    behind = np.abs(values - best)
    reach = FAR * np.median(behind)
    furthest = float(min(behind.max(), reach) if reach > 0 else behind.max())
    return (float(best) - furthest, float(best)) if maximize else (float(best), float(best) + furthest)


def history(study: optuna.Study, metric: int, name: str) -> str:
    """Every trial's score, and the best so far."""
    trials = complete(study)
    with _drawing() as plots:
        ax = plots.plot_optimization_history(study, target=_target(study, metric), target_name=name)
        ax.collections[0].set(color=PALETTE[4], label="a trial")
        for line in ax.lines:
            line.set(color=BEST, alpha=1.0, drawstyle="steps-post", label="best so far")
        ax.xaxis.get_major_locator().set_params(integer=True)
        _show(ax, [trial.values[metric] for trial in trials], maximizes(study, metric))
        return _picture(ax, "trial", name)


def importances(study: optuna.Study, metric: int) -> dict[str, float]:
    """How much of the scores' spread each parameter explains, the largest first; empty where too little is known.

    Parameters that only some trials have are left out: see `of_recipe`.
    """
    trials = complete(study)
    if len(trials) < LEAST_FOR_IMPORTANCES or np.ptp([trial.values[metric] for trial in trials]) == 0:
        return {}
    known = optuna.search_space.intersection_search_space(study.get_trials(deepcopy=False))
    moving = [name for name in known if _moves(study, name)]
    # Deep trees of hundreds of trials take minutes and say the same. PED-ANOVA takes a hundredth of a second in place of a
    # fifth, and gives parameters without effect a seventh of the importance after 50 trials, fANOVA a hundredth.
    forest = FanovaImportanceEvaluator(n_trees=32, max_depth=6, seed=0)
    target = _value_of(metric)
    found = optuna.importance.get_param_importances(study, evaluator=forest, params=moving, target=target)
    return found if len(found) > 1 else {}


class _Known(BaseImportanceEvaluator):
    """Importances that were found before."""

    def __init__(self, found: Mapping[str, float]):
        self.found = dict(found)

    def evaluate(self, study: optuna.Study, params: Any = None, *, target: Any = None) -> dict[str, float]:
        return self.found


def importance_bars(study: optuna.Study, found: Mapping[str, float], metric: int, name: str) -> str:
    """The same as bars."""
    with _drawing() as plots:
        ax = plots.plot_param_importances(study, evaluator=_Known(found), target=_value_of(metric), target_name=name)
        ticks = [shortened(own_name(label.get_text()), LONGEST_TICK) for label in ax.get_yticklabels()]
        ax.set_yticks(ax.get_yticks(), ticks)
        for bar in ax.patches:
            bar.set(color=PALETTE[0], height=0.62)
        longest = max(bar.get_width() for bar in ax.patches)
        for text in ax.texts:
            text.set(fontsize=8, color="black", x=text.get_position()[0] + 0.015 * longest)
        ax.set_xlim(0, 1.2 * longest)
        return _picture(ax, f"share of the spread of {name}", "", height=0.8 + 0.27 * len(ticks), legend=False)


def slices(study: optuna.Study, parameters: Sequence[str], metric: int, name: str, best: FrozenTrial) -> list[str]:
    """Of each parameter every trial's value and score, later trials darker, the best one ringed."""
    from matplotlib.colors import LinearSegmentedColormap

    scores = [trial.values[metric] for trial in complete(study)]
    shades = LinearSegmentedColormap.from_list("later", ["#c6dbef", PALETTE[0], "#08306b"])
    found = []
    for parameter in parameters:
        with _drawing() as plots:
            ax = plots.plot_slice(study, params=[parameter], target=_target(study, metric), target_name=name)
            points = ax.collections[0]
            points.colorbar.remove()
            points.set(cmap=shades, edgecolors="white", linewidths=0.4)
            if isinstance(best.distributions[parameter], CategoricalDistribution):
                at: Any = repr(best.params[parameter])
                _name_options(ax)
            else:
                at = best.params[parameter]
                _plain_ticks(ax.xaxis)
            ax.scatter([at], [best.values[metric]], s=110, facecolors="none", edgecolors=BEST, linewidths=1.8)
            _show(ax, scores, maximizes(study, metric))
            found.append(_picture(ax, shortened(own_name(parameter)), name, width=3.6, height=2.7, legend=False))
    return found


def pareto(study: optuna.Study, names: Sequence[str], best: FrozenTrial) -> str:
    """Two metrics against each other: the trials that no other beats in both, and the one chosen."""
    with _drawing() as plots:
        ax = plots.plot_pareto_front(study, target_names=list(names))
        for points in ax.collections:
            front = points.get_label() == "Best Trial"
            points.set(color=PALETTE[0] if front else "#b9c4ce", label="beaten by none" if front else "a trial")
        ax.scatter(*([v] for v in best.values), s=130, facecolors="none", edgecolors=BEST, linewidths=1.8, label="chosen")
        trials = complete(study)
        for axis, metric in ((ax.xaxis, 0), (ax.yaxis, 1)):
            _show(ax, [trial.values[metric] for trial in trials], maximizes(study, metric), axis)
        return _picture(ax, names[0], names[1])


def recipe_scores(scores: Mapping[str, Sequence[float]], maximize: bool, name: str) -> str:
    """The trials of each recipe, that with the best one first."""
    import matplotlib.pyplot as plt

    best = {recipe: max(values) if maximize else min(values) for recipe, values in scores.items()}
    ordered = sorted(best, key=lambda recipe: -best[recipe] if maximize else best[recipe])
    with _drawing():
        _, ax = plt.subplots()
        for row, recipe in enumerate(ordered):
            ax.axhline(row, color="#e6e6e6", linewidth=0.7, zorder=0)
            ax.scatter(scores[recipe], [row] * len(scores[recipe]), s=22, color=PALETTE[4], alpha=0.6, linewidths=0)
            ax.scatter([best[recipe]], [row], s=40, color=BEST if row == 0 else PALETTE[0], linewidths=0)
            label = f"{shortened(recipe, 60)}  ({len(scores[recipe])})"
            ax.annotate(label, (0.01, row - 0.3), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        ax.set(ylim=(len(ordered) - 0.4, -0.8), yticks=[])
        _show(ax, [value for values in scores.values() for value in values], maximize, ax.xaxis)
        return _picture(ax, name, "", height=0.8 + 0.36 * len(ordered), legend=False)


def of_recipe(study: optuna.Study, key: str, recipe: str) -> optuna.Study:
    """A study of that recipe's complete trials alone, which all have the same parameters."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it is no study that anybody ran
    try:
        part = optuna.create_study(directions=study.directions)
    finally:
        optuna.logging.set_verbosity(before)
    part.add_trials([trial for trial in complete(study) if trial.params[key] == recipe])
    return part


def own_name(parameter: str) -> str:
    """A parameter's name without the recipe's label, by which a search over losses stores it.

    >>> own_name("tweedie:power=1.5.loss__power"), own_name("learning_rate")
    ('loss__power', 'learning_rate')
    """
    return parameter.rpartition(".")[2]


def moving_of(study: optuna.Study, trial: FrozenTrial) -> list[str]:
    """The parameters of a trial that other complete ones have other values of."""
    return [name for name in trial.params if _moves(study, name)]


def _moves(study: optuna.Study, name: str) -> bool:
    return len({repr(trial.params[name]) for trial in complete(study) if name in trial.params}) > 1


def _value_of(metric: int) -> Callable[[FrozenTrial], float]:
    return lambda trial: trial.values[metric]


def _target(study: optuna.Study, metric: int) -> Any:
    """What to draw: Optuna draws the best so far only where it is not told."""
    return None if len(study.directions) == 1 else _value_of(metric)


def maximizes(study: optuna.Study, metric: int) -> bool:
    return study.directions[metric] == optuna.study.StudyDirection.MAXIMIZE


@contextmanager
def _drawing() -> Iterator[Any]:
    """Optuna's plots, which change the style of the whole process, leave figures open and warn that they may change."""
    import matplotlib.pyplot as plt
    from optuna.visualization import matplotlib as plots

    before = plt.get_fignums()
    try:
        with plt.rc_context(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"plot_|optuna\.visualization\.matplotlib\.", ExperimentalWarning)
            yield plots
    finally:
        for number in set(plt.get_fignums()) - set(before):
            plt.close(number)


def _picture(ax: Any, xlabel: str, ylabel: str, *, width: float = WIDTH, height: float = HEIGHT, legend: bool = True) -> str:
    """The axes with the house's colours, fonts and grid instead of those of Optuna's style."""
    figure = ax.figure
    figure.set(facecolor="white", dpi=DPI)
    figure.set_size_inches(width, height)
    figure.set_layout_engine("constrained")
    for side in ("left", "center", "right"):
        ax.set_title("", loc=side)
    ax.set_facecolor("white")
    ax.spines[:].set(color="black", linewidth=0.8)
    ax.tick_params(colors="black", labelsize=9)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(color="black", fontsize=9.5)
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    finish(ax, xlabel, ylabel)
    if not legend and ax.get_legend() is not None:
        ax.get_legend().remove()
    return encoded(figure)


def _show(ax: Any, scores: Sequence[float], maximize: bool, axis: Any = None) -> None:
    """Limits of the axis of scores, by default the vertical one, with a margin; those far behind lie outside."""
    low, high = limits(scores, maximize)
    margin = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    set_limits = ax.set_ylim if axis is None or axis is ax.yaxis else ax.set_xlim
    set_limits(low - margin, high + margin)


def _plain_ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if axis.get_scale() == "log":
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 50 * low else (1.0,), numticks=7))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))


def _name_options(ax: Any) -> None:
    """Ticks without the quotes of Python, aslant where they would run into each other."""
    labels = [shortened(label.get_text().strip("'"), 18) for label in ax.get_xticklabels()]
    slant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, labels)) > 34 else {}
    ax.set_xticks(ax.get_xticks(), labels, **slant)

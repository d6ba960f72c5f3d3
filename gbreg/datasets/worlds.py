"""Money and time drawn from laws that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax
from sklearn.utils import Bunch

from gbreg._checks import Floats, check_horizons
from gbreg.datasets.mixture import LogNormal, Mixture, Pareto, Part, Price, Seed, Sums, generator

PRICES = (9.9, 19.9, 49.9, 99.0, 199.0, 499.0)
FIRST_TEST_TIME = 0.75


def make_watch_time(
    n_samples: int = 1000,
    *,
    n_features: int = 8,
    zero_share: float = 0.1,
    sigma: float = 0.8,
    cold_share: float = 0.1,
    cold_slope: float = 1.0,
    median_length: float = 60.0,
    drift: float = 0.0,
    as_frame: bool = False,
    random_state: Seed = None,
) -> Bunch:
    """Seconds watched of videos: log-normal in the liking, longer for longer videos, and never beyond the video's end.

    A row is a user and a video. Some videos are skipped at once (0 seconds); those watched to the end are censored at
    their length. Length has nothing to do with liking, yet its videos are watched longer: duration bias.

    Parameters
    ----------
    n_samples : int >= 1, default 1000
    n_features : int >= 5, default 8
        `duration` (the video's length in seconds) and x1 to x3 matter, the others are noise.
    zero_share : float in (0, 1), default 0.1
        Share of videos of average liking that are skipped.
    sigma : float > 0, default 0.8
        Standard deviation of the log of the seconds that would be watched of an endless video.
    cold_share : float in [0, 1], default 0.1
        Share of new users: x2 and x3, which come from a user's history, are missing (NaN) and mean nothing.
    cold_slope : float, default 1.0
        What x1 does to the liking of new users, in units of what it does to that of others: at -1.0 the opposite.
    median_length : float > 0, default 60.0
        Of the videos, in seconds; lengths lie between a twelfth and 30 times that. For films and live streams, 600.
    drift : float, default 0.0
        By how much the log of the seconds rises from the first row to the last. Rows are in the order of time.
    as_frame : bool, default False
        Whether `data` is a pandas DataFrame and `target` a Series.
    random_state : int, Generator or None
        An int gives the same rows on every platform.

    Returns
    -------
    Bunch
        As of `make_gmv`, and of shape (n_samples,): `duration`; `interest`, how much the user likes the video;
        `censored`, whether it was watched to the end.

    Examples
    --------
    >>> world = make_watch_time(2000, random_state=0)
    >>> world.data.shape, f"{world.censored.mean():.2f} watched to the end"
    ((2000, 8), '0.17 watched to the end')
    """
    rng, x = _features(n_samples, n_features, "duration", random_state)
    _check_laws(zero_share=zero_share, sigma=sigma, drift=drift, cold_slope=cold_slope)
    if not 0 < median_length < np.inf:
        raise ValueError(f"median_length={median_length!r} must be positive and finite: seconds, 60.0 for short videos")
    duration = np.clip(np.exp(np.log(median_length) + x[:, 0]).round(), median_length / 12, 30 * median_length)
    x[:, 0] = duration
    cold = _forget(x, [2, 3], cold_share, rng)
    user = np.where(cold, 0.0, np.sin(2 * x[:, 2]) + 0.8 * x[:, 1] * x[:, 3])
    interest = 0.5 * np.where(cold, cold_slope, 1.0) * x[:, 1] + 0.5 * user
    m = np.log(25) + 0.7 * np.log(duration / 60) + 0.8 * interest + drift * _time(n_samples)
    part = LogNormal(m, np.full(n_samples, sigma), cap=duration)
    law = Mixture([expit(logit(1 - zero_share) + interest)], [part])
    world = _world(law, x, ["duration"], as_frame, rng)
    censored = np.asarray(world.target) == duration
    world.update(duration=duration, interest=interest, censored=censored, cold=cold, activity=_activity(cold, rng))
    return world


def make_gmv(
    n_samples: int = 1000,
    *,
    n_features: int = 8,
    zero_share: float = 0.6,
    sigma: float = 0.9,
    peak_share: float = 0.4,
    tail_share: float = 0.05,
    tail_index: float = 2.5,
    cold_share: float = 0.0,
    cold_slope: float = 1.0,
    drift: float = 0.0,
    as_frame: bool = False,
    random_state: Seed = None,
) -> Bunch:
    """Money spent in a visit: mostly nothing, else one of a few prices, a log-normal amount, or one of a Pareto tail.

    Parameters
    ----------
    n_samples : int >= 1, default 1000
    n_features : int >= 5, default 8
        x1 to x4 matter, the others are noise.
    zero_share : float in (0, 1), default 0.6
        Share of average visits in which nothing is bought.
    sigma : float > 0, default 0.9
        Standard deviation of the log of the amounts between the peaks.
    peak_share, tail_share : float in [0, 1], default 0.4 and 0.05
        Shares of the purchases at one of the prices (9.9, 19.9, 49.9, 99, 199, 499: those near what the row spends
        are likelier) and in the tail; together at most 1.
    tail_index : float > 1, default 2.5
        Of the Pareto tail: moments below this one are finite.
    cold_share : float in [0, 1], default 0.0
        Share of new users: x3 and x4, which come from a user's history, are missing (NaN) and mean nothing.
    cold_slope : float, default 1.0
        What x1 does to new users, whether they buy and how much, in units of what it does to others: at -1.0 the opposite.
    drift : float, default 0.0
        By how much the log of the amounts rises from the first row to the last. Rows are in the order of time.
    as_frame : bool, default False
        Whether `data` is a pandas DataFrame and `target` a Series.
    random_state : int, Generator or None
        An int gives the same rows on every platform.

    Returns
    -------
    Bunch
        `data` of shape (n_samples, n_features) and its `feature_names`; of shape (n_samples,): `target`,
        `sample_weight` (of mean 1, from the last feature: no matter to the law), `time` in [0, 1), `split` ("train"
        before time 0.75, else "test"), `cold` (whether the user is new), `activity` (how often a user was seen before: 0
        to 3 times a new one, others 10 times or more), and the truth given features and time, `mean` = E[y] and
        `probability` = P(y > 0). Functions: ``quantile(q)``, of shape (n_samples,) or (n_samples, n_levels), and
        ``resample(random_state)``, other labels of the same rows.

    Examples
    --------
    >>> world = make_gmv(2000, random_state=0)
    >>> f"{(world.target > 0).mean():.2f} buy, {world.probability.mean():.2f} should"
    '0.42 buy, 0.42 should'
    """
    rng, x = _features(n_samples, n_features, "x1", random_state)
    _check_laws(zero_share=zero_share, sigma=sigma, drift=drift, cold_slope=cold_slope)
    _check_tail(tail_share, tail_index, peak_share)
    cold = _forget(x, [2, 3], cold_share, rng) if cold_share else np.zeros(n_samples, dtype=bool)
    visits, spent = (np.where(cold, 0.0, x[:, j]) for j in (2, 3))
    own = np.where(cold, cold_slope, 1.0) * x[:, 0]
    buys = expit(logit(1 - zero_share) + 0.8 * own + 0.5 * np.sin(2 * x[:, 1]) + 0.4 * visits)
    m = np.log(50) + 0.5 * own + 0.5 * x[:, 1] * visits + 0.4 * np.abs(spent) + drift * _time(n_samples)
    near = softmax(-((np.log(PRICES) - m[:, None]) ** 2), axis=1)
    body, tail = _body_and_tail(m, np.full(n_samples, sigma), tail_index)
    weights = [buys * (1 - peak_share - tail_share), buys * tail_share, *(buys * peak_share * near.T)]
    world = _world(Mixture(weights, [body, tail, *map(Price, PRICES)]), x, [], as_frame, rng)
    world.update(cold=cold, activity=_activity(cold, rng))
    return world


def make_ltv(
    n_samples: int = 1000,
    *,
    n_features: int = 8,
    zero_share: float = 0.7,
    sigma: float = 1.2,
    tail_share: float = 0.03,
    tail_index: float = 2.2,
    cold_share: float = 0.2,
    drift: float = 0.0,
    horizons: Sequence[float] | None = None,
    span: float = 365.0,
    as_frame: bool = False,
    random_state: Seed = None,
) -> Bunch:
    """What customers will have paid: mostly nothing, else a log-normal sum, and whales of a Pareto tail.

    With `horizons`, what they will have paid that many days after they came. Training ends on day ``0.75 * span``, on which
    the youngest customers' sums are not known yet. Between two horizons everybody may pay once, early ones more often than
    late ones; how fast that falls is the customer's own.

    Parameters
    ----------
    n_samples : int >= 1, default 1000
    n_features : int >= 5, default 8
        x1 to x4 matter, the others are noise.
    zero_share : float in (0, 1), default 0.7
        Share of average customers who never pay.
    sigma : float > 0, default 1.2
        Standard deviation of the log of the sums; of new customers 1.25 times that.
    tail_share : float in [0, 1], default 0.03
        Share of whales among those who pay.
    tail_index : float > 1, default 2.2
        Of the Pareto tail: moments below this one are finite.
    cold_share : float in [0, 1], default 0.2
        Share of new customers: x3 and x4, which come from a customer's history, are missing (NaN) and mean nothing.
    drift : float, default 0.0
        By how much the log of the sums rises from the first row to the last. Rows are in the order of time.
    horizons : sequence of float, optional
        In days, positive and rising, the last below ``0.75 * span``.
    span : float > 0, default 365.0
        Days from the first customer's coming to the last one's; of `horizons` alone.
    as_frame : bool, default False
        Whether `data` is a pandas DataFrame and `target` a Series, with horizons a DataFrame.
    random_state : int, Generator or None
        An int gives the same rows on every platform.

    Returns
    -------
    Bunch
        As of `make_gmv`, without `activity`. With horizons `target`, `mean`,
        `probability` and what ``resample`` draws have the shape (n_samples, n_horizons), and there is no ``quantile``.
        `target` is NaN where a row of "train" has a window that is not complete; `complete` holds all sums.

    Examples
    --------
    >>> world = make_ltv(2000, random_state=0)
    >>> f"{world.target.mean():.1f} paid, {world.mean.mean():.1f} expected"
    '18.6 paid, 23.3 expected'
    >>> world = make_ltv(2000, horizons=(30, 60, 90), random_state=0)
    >>> world.target.shape, np.isnan(world.target[world.split == "train"]).mean(axis=0).round(2).tolist()
    ((2000, 3), [0.11, 0.22, 0.33])
    """
    rng, x = _features(n_samples, n_features, "x1", random_state)
    ends = None if horizons is None else _check_windows(horizons, span)
    _check_laws(zero_share=zero_share, sigma=sigma, drift=drift)
    _check_tail(tail_share, tail_index)
    cold = _forget(x, [2, 3], cold_share, rng)
    visits, spent = (np.where(cold, 0.0, x[:, j]) for j in (2, 3))
    pays = expit(logit(1 - zero_share) + 0.6 * x[:, 0] + 0.9 * visits)
    m = np.log(20) + 0.4 * x[:, 0] * x[:, 1] + 0.5 * np.tanh(visits) + 0.7 * spent + drift * _time(n_samples)
    parts = _body_and_tail(m, np.where(cold, 1.25 * sigma, sigma), tail_index)
    if ends is None:
        world = _world(Mixture([pays * (1 - tail_share), pays * tail_share], parts), x, [], as_frame, rng)
    else:
        paid = 1 - np.exp(-np.asarray(ends)[:, None] / (45 * np.exp(0.5 * x[:, 1])))
        each = pays * np.diff(paid, axis=0, prepend=0.0)
        law = Sums([Mixture([p * (1 - tail_share), p * tail_share], parts) for p in each])
        world = _world(law, x, [], as_frame, rng, [f"ltv_{h:.15g}" for h in ends])
        _hide_incomplete(world, np.asarray(ends) / span)
    world.update(cold=cold)
    return world


def _check_windows(horizons: Sequence[float], span: float) -> tuple[float, ...]:
    if not 0 < span < np.inf:
        raise ValueError(f"span={span!r} must be positive and finite: days, 365.0 for a year of customers")
    ends = check_horizons(horizons)
    if not ends[-1] < FIRST_TEST_TIME * span:
        raise ValueError(
            f"horizons={horizons!r}: the last must be below {FIRST_TEST_TIME * span:g}, {FIRST_TEST_TIME} of span={span!r}, "
            "or no row of train has a complete window: raise span"
        )
    return ends


def _hide_incomplete(world: Bunch, ends: Floats) -> None:
    """Blanks the sums of train rows whose windows end after training does; times are shares of the span."""
    hidden = (world.split == "train")[:, None] & (world.time[:, None] + ends > FIRST_TEST_TIME)
    world.complete = np.asarray(world.target)
    world.target = world.target.mask(hidden) if hasattr(world.target, "mask") else np.where(hidden, np.nan, world.target)


def _features(n_samples: int, n_features: int, first: str, random_state: Seed) -> tuple[np.random.Generator, Floats]:
    for name, value, least in (("n_samples", n_samples, 1), ("n_features", n_features, 5)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            why = f": {first} and three more shape the law, the last the weights" if name == "n_features" else ""
            raise ValueError(f"{name}={value!r} must be an integer of at least {least}{why}")
    rng = generator(random_state)
    return rng, rng.standard_normal((n_samples, n_features))


def _check_laws(*, zero_share: float, sigma: float, drift: float, cold_slope: float = 1.0) -> None:
    if not 0 < zero_share < 1:
        raise ValueError(f"zero_share={zero_share!r} must lie in (0, 1): for hardly any zeros, 1e-9")
    if not 0 < sigma < np.inf:
        raise ValueError(f"sigma={sigma!r} must be positive and finite: a log's standard deviation, say 1.0")
    if not np.isfinite(drift):
        raise ValueError(f"drift={drift!r} must be finite: 0.0 is none")
    if not np.isfinite(cold_slope):
        raise ValueError(f"cold_slope={cold_slope!r} must be finite: 1.0 for new users like all others")


def _check_tail(tail_share: float, tail_index: float, peak_share: float = 0.0) -> None:
    for name, share in (("tail_share", tail_share), ("peak_share", peak_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share!r} must lie in [0, 1]: it is a share of the purchases")
    if tail_share + peak_share > 1:
        raise ValueError(f"peak_share={peak_share!r} and tail_share={tail_share!r} must add up to at most 1: lower one")
    if not 1 < tail_index < np.inf:
        raise ValueError(f"tail_index={tail_index!r} must be above 1 and finite: the mean is infinite at 1 and below")


def _forget(x: Floats, columns: list[int], cold_share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Blanks the columns of new users."""
    if not 0 <= cold_share <= 1:
        raise ValueError(f"cold_share={cold_share!r} must lie in [0, 1]: it is a share of the rows")
    cold = rng.random(len(x)) < cold_share
    x[np.ix_(cold, np.array(columns))] = np.nan
    return cold


def _activity(cold: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each user was seen before, from a stream of its own: all other draws are as they were without it."""
    own = rng.spawn(1)[0]
    return np.where(cold, own.integers(0, 4, cold.size), 10 + own.geometric(0.02, cold.size))


def _time(n_samples: int) -> Floats:
    return np.arange(n_samples) / n_samples


def _body_and_tail(m: Floats, s: Floats, tail_index: float) -> list[Part]:
    """The tail begins a standard deviation above the median of the body."""
    return [LogNormal(m, s), Pareto(np.exp(m + s), tail_index)]


def _world(
    law: Mixture | Sums, x: Floats, names: list[str], as_frame: bool, rng: np.random.Generator, targets: Any = "target"
) -> Bunch:
    names = names + [f"x{j}" for j in range(1, x.shape[1] - len(names) + 1)]
    time = _time(len(x))
    data: Any = x
    target: Any = law.resample(rng)
    weight = np.exp(0.5 * x[:, -1] - 0.125)
    if as_frame:
        data, target = _frame(x, target, names, targets)
    world = Bunch(
        data=data,
        target=target,
        feature_names=names,
        sample_weight=weight,
        time=time,
        split=np.where(time < FIRST_TEST_TIME, "train", "test"),
        mean=law.mean(),
        probability=law.probability(),
        resample=law.resample,
    )
    if isinstance(law, Mixture):
        world.quantile = law.quantile
    return world


def _frame(x: Floats, target: Floats, names: list[str], targets: Any) -> tuple[Any, Any]:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("as_frame=True needs pandas: pip install pandas, or leave it False") from error
    labels = pd.Series(target, name=targets) if target.ndim == 1 else pd.DataFrame(target, columns=targets)
    return pd.DataFrame(x, columns=names), labels

"""tune: the same every time, resumable, pruned, without leaks; what failed says why."""

from __future__ import annotations

import gc
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbreg import BucketRegressor, CalibratedRegressor, GBRegressor, HurdleRegressor, WCERegressor, ZILNRegressor
from gbreg.engines import ENGINES
from gbreg.losses import AbsoluteError, Huberpp, PointwiseLoss, SquaredError
from gbreg.metrics import get_metric
from gbreg.tuning import Choice, LogUniform, Progress, Tuned, Uniform, tune
from gbreg.tuning.folds import make_folds
from gbreg.tuning.study import SAMPLERS, open_storage
from tests.tuning.test_space import spend

optuna.logging.set_verbosity(optuna.logging.ERROR)

FEW = {"reg_lambda": None, "colsample": None, "subsample": None, "min_child_samples": None}


def quick(model: Any = None, metric: Any = "mae", n_trials: int = 6, **more: Any) -> Tuned:
    X, y = spend(zeros=0.0)
    model = GBRegressor("huberpp", n_estimators=10, n_jobs=1) if model is None else model
    return tune(model, X, y, metric=metric, n_trials=n_trials, **({"space": FEW} | more))


def told(found: Tuned) -> list[Any]:
    """What must be the same of equal studies."""
    return [(t.state, t.score, t.parameters, t.rounds, t.reason) for t in found.trials_ if t.reason != "killed"]


# -- the score is that of rows not seen ---------------------------------------------------------------------------------


def test_the_best_score_is_that_of_the_best_parameters_on_the_rows_held_out() -> None:
    X, y = spend(zeros=0.0)
    test = (X[200:], y[200:])
    found = tune(
        GBRegressor("huberpp", n_estimators=20), X[:200], y[:200], metric="mae", n_trials=5, eval_set=test, pruner=None
    )
    again = GBRegressor(Huberpp(), n_estimators=20, early_stopping_rounds=50, eval_metric="mae").set_params(
        **found.best_params_
    )
    again.fit(X[:200], y[:200], eval_set=test)
    # the booster's running sums of leaves end in another last bit
    assert found.best_score_ == pytest.approx(get_metric("mae")(y[200:], again.predict(X[200:])), rel=1e-14)
    assert found.best_score_ == min(t.score[0] for t in found.trials_ if t.score)
    rounds = found.trials_[found.best_trial_.number].rounds
    assert rounds == [[again.best_iteration_]]
    refitted = found.best_estimator_
    assert (refitted.n_estimators, refitted.early_stopping_rounds, refitted.eval_metric) == (rounds[0][0], None, "loss")
    np.testing.assert_array_equal(refitted.predict(X), clone(refitted).fit(X[:200], y[:200]).predict(X))


class Peeking(SquaredError):
    """Remembers which labels it was fitted to."""

    seen: list[Any] = []

    def fit(self, y: Any, sample_weight: Any = None) -> Any:
        Peeking.seen.append(np.sort(np.asarray(y)))
        return super().fit(y, sample_weight)

    def native_form(self) -> None:  # type: ignore[override]
        return None


def test_losses_are_fitted_to_the_rows_that_train_and_to_no_other() -> None:
    X, y = spend(zeros=0.0)
    Peeking.seen = []
    tune(GBRegressor(Peeking(), n_estimators=2), X, y, metric="mae", n_trials=2, cv=3, refit=False, seed=5)
    folds = make_folds(GBRegressor(), X, y, cv=3, seed=5)
    trained = [np.sort(fold.train[1]) for fold in folds]
    first, *rest = Peeking.seen
    np.testing.assert_array_equal(first, np.sort(y))  # asked once, before the first trial, whether it could be refitted
    assert len(rest) > 2 * len(folds)
    for labels in rest:
        assert any(np.array_equal(labels, each) for each in trained)


def test_edges_of_buckets_are_those_of_the_rows_that_train() -> None:
    X, y = spend()
    seen = []

    class Peeking(BucketRegressor):
        def predict(self, X: Any, functional: Any = None) -> Any:
            seen.append(self.loss_[1].edges_)
            return super().predict(X, functional)

    model = Peeking(n_buckets=8, n_estimators=2)
    kept = dict.fromkeys([*FEW, "n_buckets", "edges", "rank"])
    tune(model, X, y, metric="mae", n_trials=1, cv=3, refit=False, seed=5, space=kept)
    folds = make_folds(GBRegressor(), X, y, cv=3, seed=5)
    assert len(seen) == 3
    loss = model._model().regressor.loss  # type: ignore[union-attr]
    for edges, fold in zip(seen, folds, strict=True):
        np.testing.assert_array_equal(edges, clone(loss).fit(fold.train[1][fold.train[1] > 0]).edges_)
        assert not np.array_equal(edges, clone(loss).fit(y[y > 0]).edges_)


def test_a_calibrator_learns_from_rows_that_neither_train_nor_measure() -> None:
    X, y = spend(zeros=0.0)
    (fold,) = make_folds(GBRegressor(), X, y, calibrated=True)
    parts = [set(part[0][:, 0]) for part in (fold.train, fold.watched, fold.test)]
    assert [len(p) for p in parts] == [216, 24, 60]
    assert len(set.union(*parts)) == 300
    found = quick(GBRegressor("huberpp", n_estimators=10, calibration="ratio"), n_trials=2, pruner=None)
    model = GBRegressor(Huberpp(), n_estimators=10, calibration="ratio", early_stopping_rounds=50, eval_metric="mae")
    model.set_params(**found.best_params_).fit(*fold.train[:2], eval_set=fold.watched[:2])
    assert found.best_score_ == get_metric("mae")(fold.test[1], model.predict(fold.test[0]))
    best = found.best_estimator_
    assert (best.n_estimators, best.early_stopping_rounds) == (model.best_iteration_, None)
    assert best.predict(X).sum() == pytest.approx(best.calibrator_.predict(best.loss_.predict(best.predict_raw(X))).sum())


@pytest.mark.parametrize(
    "arguments",
    [
        {"losses": [GBRegressor(Huberpp(link="log"), calibration="ratio")], "space": None},
        {"space": {**FEW, "calibration": Choice(("ratio", "spline"))}},
    ],
)
def test_calibration_that_only_a_search_brings_leaks_no_more(arguments: dict[str, Any]) -> None:
    X, y = spend(zeros=0.0)
    (fold,) = make_folds(GBRegressor(), X, y, calibrated=True)
    found = quick(n_trials=1, sampler="random", refit=False, **arguments)
    best = found.best_estimator_
    assert best.calibration is not None
    best.set_params(n_estimators=10, early_stopping_rounds=50, eval_metric="mae").fit(
        *fold.train[:2], eval_set=fold.watched[:2]
    )
    assert found.best_score_ == get_metric("mae")(fold.test[1], best.predict(fold.test[0]))


def test_groups_stay_whole_and_time_goes_forward() -> None:
    X, y = spend(zeros=0.0)
    customers = np.arange(300) // 5
    for cv in (None, 3):
        for fold in make_folds(GBRegressor(), X, y, groups=customers, cv=cv):
            sides = [set(customers[np.isin(X[:, 0], part[0][:, 0])]) for part in (fold.train, fold.test)]
            assert not sides[0] & sides[1]
    when = np.random.default_rng(0).integers(0, 40, 300)
    for cv, n in ((None, 1), (3, 3)):
        folds = make_folds(GBRegressor(), X, y, time=when, cv=cv)
        assert len(folds) == n
        for fold in folds:
            before, after = (when[np.isin(X[:, 0], part[0][:, 0])] for part in (fold.train, fold.test))
            assert before.max() < after.min()
            assert (when <= before.max()).sum() == before.size
    (fold,) = make_folds(GBRegressor(), X, y, time=np.arange(300), validation_fraction=0.2)
    assert fold.test[1].size == 60


# -- the same study -----------------------------------------------------------------------------------------------------


def test_same_seed_same_study_and_another_seed_another() -> None:
    first, second, other = quick(seed=3), quick(seed=3), quick(seed=4)
    assert told(first) == told(second)
    assert told(first) != told(other)
    assert len({t.parameters["learning_rate"] for t in first.trials_}) == 6


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_parameters_are_drawn_together_whatever_optuna_would_do() -> None:
    made = quick(n_trials=12, refit=False).study_
    sampler = SAMPLERS["tpe"](0)
    assert set(sampler.infer_relative_search_space(made, made.ask())) == {"learning_rate", "loss__delta", "max_leaves"}
    assert sampler._constant_liar  # type: ignore[attr-defined]
    several = quick(n_trials=2, metric=["mae", "xauc"], refit=False).study_
    assert several.sampler.infer_relative_search_space(several, several.ask()) == {}


@pytest.mark.parametrize("file", ["study.db", "study.log"])
def test_resumed_is_uninterrupted(tmp_path: Path, file: str) -> None:
    n = 14  # past the sampler's random start
    whole = quick(n_trials=n)
    part = quick(n_trials=5, storage=tmp_path / file)
    assert len(part.trials_) == 5
    resumed = quick(n_trials=n, storage=tmp_path / file)
    assert told(resumed) == told(whole)
    assert resumed.best_params_ == whole.best_params_
    done = quick(n_trials=n, storage=tmp_path / file)
    assert told(done) == told(whole)
    assert [t.seconds for t in done.trials_] == [t.seconds for t in resumed.trials_]


SCRIPT = """
import sys, time
import numpy as np, optuna
from tests.tuning.test_tune import quick
from gbreg import GBRegressor
optuna.logging.set_verbosity(optuna.logging.ERROR)

def slow(y, p, w=None):
    slow.calls += 1
    if slow.calls > 45:  # in the fifth trial or so
        print("running", flush=True)
        time.sleep(60)
    return float(np.abs(y - p).mean())
slow.calls = 0
quick(metric=slow, n_trials=12, storage=sys.argv[1])
"""


def slow(y: Any, p: Any, w: Any = None) -> float:
    return float(np.abs(y - p).mean())


def test_a_killed_study_resumes_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(file)], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    study = optuna.load_study(study_name="gbreg", storage=open_storage(file))
    states = [t.state.name for t in study.trials]
    assert states[-1] == "RUNNING"
    assert 1 <= len(states) - 1 < 12
    resumed = quick(metric=slow, n_trials=12, storage=file)
    killed = [t.number for t in resumed.trials_ if t.reason == "killed"]
    assert killed == [len(states) - 1]
    assert len(resumed.trials_) == 13
    assert told(resumed) == told(quick(metric=slow, n_trials=12))


def test_processes_share_a_study(tmp_path: Path) -> None:
    file = tmp_path / "study.db"  # which they make at the same moment
    code = "import sys; from tests.tuning.test_tune import quick; quick(n_trials=12, storage=sys.argv[1], refit=False)"
    command = [sys.executable, "-c", code, str(file)]
    workers = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    found = quick(n_trials=12, storage=file)
    owners = [t.user_attrs["owner"]["process"] for t in found.study_.trials]
    assert set(owners) <= {worker.pid for worker in workers}
    assert 12 <= len(found.trials_) <= 13  # both may begin the last one at the same moment
    assert not [t for t in found.trials_ if t.reason]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/study.db", "must lie in a folder that exists: make '.*no' first"),
        ("no/study.log", "must lie in a folder that exists"),
        ("", "is a folder: name a file in it, such as '.*study.db'"),
        ("table.db", "is a file, and no SQLite file"),
        ("table.log", "is a file, and no journal of Optuna's"),
    ],
)
def test_where_no_study_can_be_stored(tmp_path: Path, name: str, message: str) -> None:
    for table in ("table.db", "table.log"):
        (tmp_path / table).write_text("amount,duration\n")
    with pytest.raises(ValueError, match=f"storage='.*' {message}"):
        quick(n_trials=1, storage=tmp_path / name)
    assert (tmp_path / "table.log").read_text() == "amount,duration\n"


def test_threads_run_trials_side_by_side() -> None:
    found = quick(GBRegressor("huberpp", n_estimators=10), n_trials=8, n_jobs=2)
    assert len(found.trials_) == 8
    assert len({t.parameters["learning_rate"] for t in found.trials_}) == 8
    again = clone(found.best_estimator_)
    X, y = spend(zeros=0.0)
    np.testing.assert_array_equal(found.best_estimator_.predict(X), again.fit(X, y).predict(X))


# -- trials that end early ----------------------------------------------------------------------------------------------

STEPS = {**FEW, "max_leaves": None, "loss__delta": None, "learning_rate": Choice((0.3, 1e-6))}


@pytest.mark.parametrize("engine", ENGINES)
def test_trials_that_fall_behind_are_pruned_on_every_engine(engine: str) -> None:
    pytest.importorskip(engine)
    model = GBRegressor("huberpp", engine=engine, n_estimators=20, n_jobs=1)
    found = quick(model, n_trials=20, space=STEPS, sampler="random", pruner="median")
    states = {(t.parameters["learning_rate"], t.state) for t in found.trials_[10:]}
    assert states == {(0.3, "complete"), (1e-6, "pruned")}
    assert found.best_params_ == {"learning_rate": 0.3}
    stopped = [t for t in found.study_.trials if t.state.name == "PRUNED"]
    assert {max(t.intermediate_values) for t in stopped} == {2}  # of 20 rounds, the first report


def test_models_that_watch_another_metric_are_not_pruned_by_it() -> None:
    model = GBRegressor("huberpp", n_estimators=10, n_jobs=1, eval_metric="mae")
    found = quick(model, metric="xauc", n_trials=14, space=STEPS, sampler="random")
    assert {trial.state for trial in found.trials_} == {"complete"}
    assert not any(trial.intermediate_values for trial in found.study_.trials)
    assert quick(model, n_trials=1).study_.trials[0].intermediate_values


def test_hyperband_repeats_no_trial_in_another_bracket() -> None:
    found = quick(n_trials=12, sampler="random", pruner="hyperband", refit=False)
    assert len({t.parameters["learning_rate"] for t in found.trials_}) == 12


def test_hyperband_prunes_and_no_pruner_does_not() -> None:
    model = GBRegressor("huberpp", n_estimators=30, n_jobs=1)
    states = [t.state for t in quick(model, n_trials=30, space=STEPS, sampler="random", pruner="hyperband").trials_]
    assert "pruned" in states
    assert "complete" in states
    assert {t.state for t in quick(model, n_trials=12, space=STEPS, sampler="random", pruner=None).trials_} == {"complete"}


def test_models_of_several_boosters_are_pruned_between_folds() -> None:
    X, y = spend()
    model = HurdleRegressor(GBRegressor("bernoulli", n_estimators=5), GBRegressor("gamma", n_estimators=20))
    kept = ("max_leaves", "min_child_samples", "subsample", "colsample", "reg_lambda")
    space: dict[str, Any] = {f"{part}__{name}": None for part in ("classifier", "regressor") for name in kept}
    space |= {"classifier__learning_rate": None, "regressor__learning_rate": Choice((0.3, 1e-6))}
    found = tune(model, X, y, metric="mae", n_trials=16, cv=2, space=space, sampler="random")
    assert {(t.parameters["regressor__learning_rate"], t.state) for t in found.trials_[10:]} == {
        (0.3, "complete"),
        (1e-6, "pruned"),
    }
    best = found.best_estimator_
    rounds = np.mean(found.trials_[found.best_trial_.number].rounds, axis=0)
    assert [best.classifier.n_estimators, best.regressor.n_estimators] == [max(1, round(r)) for r in rounds]
    assert best.regressor_.best_iteration_ == best.regressor.n_estimators


@pytest.mark.parametrize("zeros", [0.3, 0.0])
def test_presets_of_two_boosters_are_refitted_with_the_rounds_of_each(zeros: float) -> None:
    X, y = spend(zeros=zeros)
    model = ZILNRegressor(n_estimators=60, learning_rate=0.3, n_jobs=1)
    found = tune(model, X, y, metric="mae", n_trials=2, cv=2, early_stopping_rounds=5, space={**FEW, "learning_rate": None})
    rounds = np.mean(found.trials_[found.best_trial_.number].rounds, axis=0)
    expected = tuple(max(1, round(r)) for r in rounds)
    assert len(expected) == (2 if zeros else 1)
    assert max(expected) < 60
    best = found.best_estimator_
    assert best.n_estimators == (expected if zeros else expected[0])
    assert best.early_stopping_rounds is None
    assert best.best_iteration_ == (expected if zeros else (None, *expected))
    made: dict[str, Any] = {}
    exec(found.code(), made)
    np.testing.assert_array_equal(made["model"].fit(X, y).predict(X), best.predict(X))


@pytest.mark.parametrize(("implementation", "follows"), [("loss", True), ("duplicate", False), ("youtube", False)])
def test_what_follows_the_metric_round_by_round(implementation: str, follows: bool) -> None:
    X, y = spend()
    model = WCERegressor(implementation=implementation, n_estimators=10, n_jobs=1)
    found = tune(model, X, y, metric="mae", n_trials=2, space={**FEW, "scheme": None})
    assert [bool(t.intermediate_values) for t in found.study_.trials] == [follows, follows]
    values = found.study_.trials[0].intermediate_values
    assert all(0.3 < value / found.trials_[0].score[0] < 3 for value in values.values())  # type: ignore[index]


def test_failed_trials_say_why_and_do_no_harm() -> None:
    X, y = spend(zeros=0.3)
    space = {**FEW, "loss__label_floor": Choice((None, 0.1)), "loss__delta": None}
    model = GBRegressor(Huberpp(label_floor=0.1), n_estimators=5)
    found = tune(model, X, y, metric="mae", n_trials=10, space=space)
    failed = [t for t in found.trials_ if t.state == "fail"]
    assert failed
    for trial in failed:
        assert trial.parameters["loss__label_floor"] is None
        assert trial.reason is not None
        assert trial.reason.startswith("ValueError: Huberpp needs y in (0, inf)")
    assert found.best_params_["loss__label_floor"] == 0.1
    assert len(found.trials_) == 10


class Diverging(PointwiseLoss):
    """Squared error whose gradient is NaN where C is above 1."""

    def __init__(self, C: float = 1.0):
        self.C = C

    @staticmethod
    def row_value(y: float, mu: float, C: float) -> float:
        return (mu - y) ** 2

    @staticmethod
    def row_derivatives(y: float, mu: float, C: float) -> tuple[float, float]:
        return (mu - y) * (C if C <= 1.0 else math.nan), 1.0


def test_diverging_trials_are_recorded() -> None:
    found = quick(GBRegressor(Diverging(), n_estimators=5), n_trials=8, space={**FEW, "loss__C": Choice((1.0, 2.0))})
    assert {(t.parameters["loss__C"], t.state) for t in found.trials_} == {(1.0, "complete"), (2.0, "fail")}
    assert all(t.reason.startswith("FloatingPointError: Diverging(C=2.0)") for t in found.trials_ if t.reason)


def test_no_complete_trial_is_an_error_with_the_reasons() -> None:
    X, y = spend(zeros=0.3)
    space = {**FEW, "loss__label_floor": Choice((None, -1.0)), "loss__delta": None}
    with pytest.raises(RuntimeError, match=r"of 3, 3 failed and 0 were pruned. Reasons: ValueError: Huberpp"):
        tune(GBRegressor(Huberpp(label_floor=0.1), n_estimators=5), X, y, metric="mae", n_trials=3, space=space)


class AlwaysPruned(optuna.pruners.BasePruner):
    def prune(self, study: Any, trial: Any) -> bool:
        return True


def test_all_pruned_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="of 3, 0 failed and 3 were pruned"):
        quick(n_trials=3, pruner=AlwaysPruned())


def test_timed_out_with_the_best_so_far() -> None:
    found = quick(n_trials=10_000, timeout=0.5)
    assert 1 <= len(found.trials_) < 10_000
    assert found.best_score_ == min(t.score[0] for t in found.trials_ if t.score)


def test_ctrl_c_ends_with_the_best_so_far(tmp_path: Path) -> None:
    def stop(state: Progress) -> None:
        if state.done == 3:
            raise KeyboardInterrupt

    found = quick(n_trials=8, progress=stop, storage=tmp_path / "study.db")
    assert found.interrupted_
    assert len(found.trials_) == 3
    assert told(quick(n_trials=8, storage=tmp_path / "study.db")) == told(quick(n_trials=8))


def test_progress_is_told_after_every_trial() -> None:
    states: list[Progress] = []
    found = quick(n_trials=5, progress=states.append)
    assert [s.done for s in states] == [1, 2, 3, 4, 5]
    assert states[-1].score == found.best_score_
    assert states[-1].seconds_left == 0.0


# -- metrics ------------------------------------------------------------------------------------------------------------


def test_several_metrics_give_the_trials_that_no_other_beats() -> None:
    found = quick(metric=["xauc", "abs_log_pcoc"], n_trials=12)
    scores = np.array([t.score for t in found.trials_]) * (-1, 1)  # less is better
    beaten = [any((other <= s).all() and (other < s).any() for other in scores) for s in scores]
    assert {t.number for t in found.pareto_} == {i for i, b in enumerate(beaten) if not b}
    assert found.best_trial_.number in {t.number for t in found.pareto_}
    assert set(found.best_score_) == {"xauc", "abs_log_pcoc"}  # type: ignore[arg-type]
    front = np.array([scores[t.number] for t in found.pareto_])
    spread = np.where(np.ptp(front, axis=0) > 0, np.ptp(front, axis=0), 1.0)
    nearest = np.argmin((((front - front.min(axis=0)) / spread) ** 2).sum(axis=1))
    assert found.best_trial_.number == found.pareto_[nearest].number
    first = quick(metric=["xauc", "abs_log_pcoc"], n_trials=12, choose="first")
    assert first.best_trial_.values[0] == -scores[:, 0].min()
    last = quick(metric=["xauc", "abs_log_pcoc"], n_trials=12, choose=lambda trials: trials[-1])
    assert last.best_trial_.number == found.pareto_[-1].number


def test_a_loss_whose_parameters_are_searched_is_not_scored_by_itself() -> None:
    with pytest.raises(ValueError, match=r"metric='loss' while parameters of losses are searched.*such as 'mae'"):
        quick(metric="loss")
    with pytest.raises(ValueError, match="metric='loss' while"):
        quick(GBRegressor("gamma"), metric="loss", losses=["gamma", "tweedie"])
    with pytest.raises(ValueError, match="metric='loss': HurdleRegressor has no loss of its own"):
        quick(HurdleRegressor(GBRegressor("bernoulli"), GBRegressor("gamma")), metric="loss", space=None)
    fixed = quick(metric="loss", space={**FEW, "loss__delta": None}, n_trials=3)
    X, y = spend(zeros=0.0)
    (fold,) = make_folds(GBRegressor(), X, y)
    model = GBRegressor(Huberpp(), n_estimators=10, early_stopping_rounds=50).set_params(**fixed.best_params_)
    model.fit(*fold.train[:2], eval_set=fold.test[:2])
    assert fixed.best_score_ == pytest.approx(model.evals_result_["validation_0"]["huberpp"][model.best_iteration_ - 1])


def test_weights_reach_training_and_metric() -> None:
    X, y = spend(zeros=0.0)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, y.size)
    found = tune(GBRegressor("huberpp", n_estimators=5), X, y, metric="mae", n_trials=2, sample_weight=weight, space=FEW)
    (fold,) = make_folds(GBRegressor(), X, y, weight)
    model = GBRegressor(Huberpp(), n_estimators=5, early_stopping_rounds=50, eval_metric="mae").set_params(
        **found.best_params_
    )
    X_, y_, w_ = fold.test
    model.fit(*fold.train, eval_set=(X_, y_), eval_sample_weight=w_)
    assert found.best_score_ == get_metric("mae")(y_, model.predict(X_), w_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_trials": 0}, "n_trials=0 must be at least 1"),
        ({"metric": "maee"}, "did you mean 'mae'"),
        ({"metric": "pcoc"}, "use 'abs_log_pcoc'"),
        ({"sampler": "grid"}, "sampler='grid' must be one of tpe, random"),
        ({"pruner": "best"}, "pruner='best' must be one of median, hyperband"),
        ({"choose": "last"}, "choose='last' must be 'balanced', 'first'"),
        ({"cv": 1}, "cv=1 must be at least 2"),
        ({"time": np.arange(3)}, r"time must be one-dimensional with one entry a row, 300, got shape \(3,\)"),
        ({"time": np.zeros(300)}, "all 300 rows have the time 0"),
        ({"time": np.arange(300), "groups": np.arange(300)}, "time= and groups= exclude each other"),
        ({"cv": 3, "eval_set": (np.ones((2, 4)), np.ones(2))}, "leave out cv= and time="),
        ({"n_trials": 2.5}, "n_trials=2.5 must be at least 1, a whole number"),
        ({"timeout": 0}, "timeout=0 must be a number of seconds above 0, or None"),
        ({"n_jobs": 1.5}, "n_jobs=1.5 must be a whole number"),
        ({"seed": None}, "seed=None must be a whole number from 0"),
        ({"metric": []}, r"metric=\[\] must name one metric"),
        ({"sampler": None}, "sampler=None must be one of tpe, random"),
        ({"cv": 301}, "cv=301 must be at least 2 folds, and no more than 300 rows allow"),
        ({"cv": 3, "groups": np.arange(300) % 2}, "cv=3 must be at least 2 folds, and no more than 2 groups allow"),
        ({"cv": "5"}, "cv='5' must be a number of folds, a splitter, a list"),
        ({"cv": []}, r"cv=\[\] must be a number of folds, a splitter, a list"),
        ({"time": np.where(np.arange(300) == 5, np.nan, 1.0)}, "time: 1 of 300 are missing"),
        ({"time": np.array(["a", None] * 150, dtype=object)}, "time: 150 of 300 are missing"),
        ({"validation_fraction": 1.5, "time": np.arange(300)}, r"validation_fraction=1.5 must lie in \(0, 1\)"),
        ({"validation_fraction": 0}, r"validation_fraction=0 must lie in \(0, 1\)"),
        ({"eval_set": (np.ones((2, 3)), np.ones(2))}, "eval_set: X has 3 features"),
        ({"eval_sample_weight": np.ones(300)}, "eval_sample_weight= weighs the rows of eval_set="),
        ({"early_stopping_rounds": 0}, "'early_stopping_rounds' parameter of GBRegressor"),
        ({"model": GBRegressor("huberpp", engine="lgb")}, "engine='lgb' is not known: did you mean 'lightgbm'"),
        ({"model": LinearRegression()}, "estimator=LinearRegression has no booster of gbreg in it"),
        ({"storage": 3}, "storage=3 must be the path of a file"),
        ({"losses": []}, r"losses=\[\] must be 'all', or a list such as"),
        ({"losses": [CalibratedRegressor(GBRegressor())]}, "losses: CalibratedRegressor has no name on the command line"),
        ({"losses": "gamma"}, r"losses='gamma' must be 'all', or a list such as \['gamma', 'tweedie'\]"),
    ],
)
def test_what_tune_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quick(**arguments)


def test_tables_that_no_trial_could_take_are_refused_at_once() -> None:
    X, y = spend(zeros=0.0)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        tune(GBRegressor("huberpp"), np.where(X > 2, np.inf, X), y, metric="mae")
    with pytest.raises(ValueError, match=r"Huberpp needs y in \(0, inf\)"):
        tune(GBRegressor("huberpp"), X, y - 1.0, metric="mae")


# -- search over losses -------------------------------------------------------------------------------------------------


def test_every_model_is_tried_as_it_is_given_first() -> None:
    given = GBRegressor("huber", n_estimators=10, learning_rate=0.05)
    found = quick(given, n_trials=2, space={}, refit=False)
    first, second = (trial.parameters for trial in found.trials_)
    assert (first["learning_rate"], first["loss__delta"], first["max_leaves"]) == (0.05, 1.0, 31)
    assert first["reg_lambda"] == 1e-3  # its 0 is outside the range
    assert second["learning_rate"] != 0.05
    labels = ["huber:link=log", "bucket", "poisson"]
    found = quick(given, metric="rmse", n_trials=4, space={}, losses=labels, refit=False)
    assert [trial.parameters["recipe"] for trial in found.trials_[:3]] == labels
    assert [trial.parameters["reg_lambda"] for trial in found.trials_[:3]] == [1e-3, 100.0, 1e-3]


@pytest.mark.parametrize(("metric", "functional"), [("mae", "median"), ("xauc", "log_mean"), ("rmse", "mean")])
def test_a_loss_search_reads_of_distributions_what_suits_the_metric(metric: str, functional: str) -> None:
    X, y = spend()
    train, test = (X[:200], y[:200]), (X[200:], y[200:])
    given = {"eval_set": test, "metric": metric, "n_trials": 1, "refit": False}
    best = tune(GBRegressor(n_estimators=5), *train, losses=["ziln"], **given)
    assert best.best_estimator_.functional == functional
    distribution = best.best_estimator_.fit(*train, eval_set=test).predict_distribution(X[200:])
    assert best.best_score_ == pytest.approx(get_metric(metric)(y[200:], getattr(distribution, functional)()), rel=1e-6)


def test_losses_links_and_their_parameters_are_one_space() -> None:
    X, y = spend()
    losses = ["huber", "tweedie", "gamma", BucketRegressor(n_buckets=8), "bernoulli"]
    template = GBRegressor(n_estimators=4, n_jobs=1)
    found = tune(template, X, y, metric="mae", n_trials=25, losses=losses, sampler="random")
    assert [label for label, _ in found.skipped_] == ["bernoulli"]
    labels = {t.parameters["recipe"] for t in found.trials_}
    assert labels == {"huber", "huber:link=log", "tweedie", "bucket:n_buckets=8", "hurdle:loss=gamma"}
    assert {t.state for t in found.trials_} <= {"complete", "pruned"}
    for trial in found.trials_:
        assert ("loss__power" in trial.parameters) == (trial.parameters["recipe"] == "tweedie")
        assert ("rank" in trial.parameters) == (trial.parameters["recipe"] == "bucket:n_buckets=8")
        assert "learning_rate" in trial.parameters
    made: dict[str, Any] = {}
    exec(found.code(), made)
    np.testing.assert_array_equal(made["model"].fit(X, y).predict(X), found.best_estimator_.predict(X))


def test_a_loss_search_resumes(tmp_path: Path) -> None:
    losses = ["huberpp", "gamma", "tweedie"]
    whole = quick(GBRegressor(n_estimators=4, n_jobs=1), losses=losses, n_trials=14, space=None)
    quick(GBRegressor(n_estimators=4, n_jobs=1), losses=losses, n_trials=6, space=None, storage=tmp_path / "s.db")
    resumed = quick(GBRegressor(n_estimators=4, n_jobs=1), losses=losses, n_trials=14, space=None, storage=tmp_path / "s.db")
    assert told(resumed) == told(whole)


def test_ranges_of_one_recipe_and_of_all() -> None:
    X, y = spend()
    space = {
        "huber.loss__delta": Uniform(1.0, 2.0),
        "huber:link=log.loss__delta": None,
        "hurdle:loss=am:link=log.regressor__loss__C": Choice((0.5, 2.0)),
        "learning_rate": LogUniform(0.2, 0.25),
        "max_leaves": None,
    }
    template = GBRegressor(n_estimators=2, n_jobs=1, max_leaves=5)
    losses = ["huber", "huber:link=log", "am:link=log"]
    found = tune(template, X, y, metric="mae", n_trials=12, losses=losses, space=space, sampler="random", refit=False)
    assert {t.parameters["recipe"] for t in found.trials_} == {"huber", "huber:link=log", "hurdle:loss=am:link=log"}
    for trial in found.trials_:
        own, recipe = trial.parameters, trial.parameters["recipe"]
        assert 0.2 <= own["learning_rate"] <= 0.25
        assert "max_leaves" not in own
        assert ("loss__delta" in own) == (recipe == "huber")
        assert 1.0 <= own.get("loss__delta", 1.5) <= 2.0
        assert (own.get("regressor__loss__C") in (0.5, 2.0)) == (recipe == "hurdle:loss=am:link=log")
    assert found.best_estimator_.get_params().get("max_leaves", 5) == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "loss__power",
            "'loss__power' is no parameter of boosting, .* as in 'tweedie.loss__power'. Recipes are huber, tw",
        ),
        ("tweedie.learning_rate", "'tweedie.learning_rate': recipes share the parameters of boosting"),
        ("tweedie.loss__pow", "'loss__pow' is not a parameter of the estimator: did you mean 'loss__power'"),
        ("bucket.n_buckets", "'bucket' is no recipe of this search: huber, tweedie"),
        ("bernoulli.loss__levels", "'bernoulli' is not searched: Bernoulli needs y"),
    ],
)
def test_ranges_of_what_is_not_searched_are_refused(name: str, message: str) -> None:
    losses = ["huber:link=identity", "tweedie:power=1.5", "bernoulli"]  # which the labels do not suit
    with pytest.raises(ValueError, match=f"space: {message}"):
        quick(GBRegressor(n_estimators=2), losses=losses, space={name: None}, n_trials=1)


def test_what_the_last_fit_could_not_take_is_not_searched() -> None:
    X = np.arange(200.0)[:, None]
    y = np.where(np.arange(200) < 110, 0.0, 1.0 + np.arange(200))  # the median of all is 0, of the rows that train it is not
    splits = [(np.arange(60, 200), np.arange(60))]
    given = {"metric": "mae", "n_trials": 2, "cv": splits}
    found = tune(GBRegressor(n_estimators=5), X, y, losses=["absolute_error:link=log", "tweedie"], **given)
    assert [label for label, _ in found.skipped_] == ["absolute_error:link=log"]
    with pytest.raises(ValueError, match="the best constant for these labels is 0, which link='log' cannot express"):
        tune(GBRegressor(AbsoluteError(link="log")), X, y, **given)


def test_models_of_one_label_are_not_mixed_up() -> None:
    twice = ["huber", GBRegressor("huber"), GBRegressor("huber", calibration="ratio")]
    with pytest.raises(ValueError, match="two models are 'huber' and differ only in boosting or calibration"):
        quick(GBRegressor(n_estimators=5), losses=twice, space={})
    assert len(quick(GBRegressor(n_estimators=5), n_trials=1, losses=twice[:2], space={}, refit=False).search_.models) == 2


def test_losses_that_none_of_the_labels_suit() -> None:
    X, y = spend()
    with pytest.raises(ValueError, match=r"none of the 1 takes these labels: gamma: Gamma needs y in \(0, inf\)"):
        tune(GBRegressor(), X, y - 1.0, metric="mae", losses=["gamma"])
    with pytest.raises(ValueError, match="losses= need an estimator with the parameters of boosting, got HurdleRegressor"):
        tune(HurdleRegressor(GBRegressor("bernoulli"), GBRegressor()), X, y, metric="mae", losses=["gamma"])


def hurdle_of_a_pipeline() -> HurdleRegressor:
    whether = make_pipeline(StandardScaler(), LogisticRegression())
    return HurdleRegressor(whether, GBRegressor("gamma", n_estimators=5, n_jobs=1))


def test_a_hurdle_with_a_pipeline_is_tuned() -> None:
    X, y = spend()
    model = hurdle_of_a_pipeline()
    found = tune(model, X, y, metric="mae", n_trials=2, groups=np.arange(y.size) // 2)
    assert [trial.state for trial in found.trials_] == ["complete"] * 2
    best = found.best_estimator_
    assert best.regressor_.n_estimators == best.regressor_.best_iteration_


def test_weights_that_a_part_cannot_take_are_refused_before_the_first_trial(tmp_path: Path) -> None:
    X, y = spend()
    with pytest.raises(ValueError, match=r"sample_weight: Pipeline of HurdleRegressor takes none: leave it out"):
        tune(hurdle_of_a_pipeline(), X, y, metric="mae", sample_weight=np.ones(y.size), storage=tmp_path / "s.db")
    assert not (tmp_path / "s.db").exists()


def test_metrics_of_scikit_learn_are_searched_by() -> None:
    found = quick(metric=mean_absolute_error, n_trials=3)
    assert found.best_score_ == pytest.approx(quick(metric="mae", n_trials=3).best_score_)
    assert found.metrics_ == ["mean_absolute_error"]


def test_connections_of_a_url_are_closed(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 's.db'}")
    assert isinstance(storage, optuna.storages.RDBStorage)
    optuna.create_study(storage=storage)
    engine = storage.engine
    assert engine.pool.checkedin() > 0  # type: ignore[attr-defined]
    del storage
    gc.collect()
    assert engine.pool.checkedin() == 0  # type: ignore[attr-defined]

"""The leaderboard against metrics computed anew, what is excluded and why, and what the summary says."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error

from gbreg import BucketRegressor, D2QRegressor, GBRegressor, HurdleRegressor, ZILNRegressor
from gbreg._errors import InputError
from gbreg.compare import (
    SHOWN,
    Leaderboard,
    Profile,
    Row,
    Skipped,
    choice,
    compare,
    default_models,
    installed_engines,
    loss_label,
    model_label,
    parse_loss,
    parse_model,
    sum_words,
    winners,
)
from gbreg.engines import ENGINES
from gbreg.losses import AM, Gamma, Huberpp, SquaredError, Tweedie, get_loss, known_losses
from gbreg.reporting.scores import scored

FAST = GBRegressor(n_estimators=8, learning_rate=0.2, n_jobs=1, random_state=3)


def spending(n=600, seed=0):
    """Zero-inflated, skewed labels with one number and one category behind them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    group = rng.integers(0, 3, n)
    y = np.where(rng.random(n) < 0.4, 0.0, np.exp(x + 0.5 * group + 0.5 * rng.normal(size=n)))
    table = pa.table({"x": x, "group": pa.array(np.array(["a", "b", "c"])[group]).dictionary_encode()})
    return table, y


@pytest.fixture(scope="module")
def data():
    X, y = spending()
    return X.slice(0, 400), y[:400], X.slice(400), y[400:]


@pytest.fixture(scope="module")
def board(data):
    return compare(*data, losses=["squared_error", Tweedie(), "gamma", "huberpp:link=log"], estimator=FAST)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_hold_the_metrics_of_the_same_model_fitted_alone(data, engine):
    train_X, train_y, test_X, test_y = data
    weight, test_weight = np.linspace(0.5, 2, 400), np.linspace(2, 1, 200)
    board = compare(
        *data, sample_weight=weight, test_weight=test_weight, losses=["poisson"], engines=[engine], estimator=FAST
    )
    (row,) = board.rows
    model = GBRegressor("poisson", engine=engine, n_estimators=8, learning_rate=0.2, n_jobs=1, random_state=3)
    predicted = model.fit(train_X, train_y, weight).predict(test_X)
    assert (row.loss, row.engine, row.rounds) == ("poisson", engine, 8)
    assert row.native is model.native_
    assert row.mae == pytest.approx(mean_absolute_error(test_y, predicted, sample_weight=test_weight), rel=1e-12)
    assert row.rmse == pytest.approx(mean_squared_error(test_y, predicted, sample_weight=test_weight) ** 0.5, rel=1e-12)
    assert row.pcoc == pytest.approx(test_weight @ predicted / (test_weight @ test_y), rel=1e-12)
    assert row.over_2x == pytest.approx(test_weight @ (predicted > 2 * test_y) / test_weight.sum(), rel=1e-12)
    assert row.under_2x == pytest.approx(test_weight @ (predicted < test_y / 2) / test_weight.sum(), rel=1e-12)
    assert row.fit_seconds > 0
    assert row.compile_seconds > 0


def test_the_baseline_is_the_weighted_mean_of_the_training_labels(data):
    train_y, test_y = data[1], data[3]
    weight = np.linspace(0, 1, train_y.size)
    board = compare(*data, sample_weight=weight, test_weight=np.ones(test_y.size), losses=["squared_error"], estimator=FAST)
    mean = np.average(train_y, weights=weight)
    assert board.baseline.mae == pytest.approx(np.abs(test_y - mean).mean(), rel=1e-12)
    assert board.baseline.pcoc == pytest.approx(mean / test_y.mean(), rel=1e-12)
    assert board.profile.mean_train == pytest.approx(mean, rel=1e-12)
    assert board.profile.weighted


def test_losses_whose_domain_excludes_the_labels_are_listed_with_the_reason(board, data):
    zeros = int((data[1] == 0).sum())
    reasons = {skipped.loss: skipped.reason for skipped in board.skipped}
    assert set(reasons) == {"gamma", "huberpp:link=log"}
    for name, reason in reasons.items():
        assert f"needs y in (0, inf); {zeros:,} of 400 labels are not" in reason, name
    assert [row.loss for row in board.rows] == [row.loss for row in sorted(board.rows, key=lambda row: -row.normalized_gini)]
    assert {row.loss for row in board.rows} == {"squared_error", "tweedie"}


def test_a_fit_that_fails_is_listed_and_the_others_go_on(data):
    class Diverging(SquaredError):
        decodes_with_residuals = True

        def fit_decoder(self, y, raw_prediction, sample_weight):
            raise FloatingPointError("made to\nfail")

    seen = []
    board = compare(*data, losses=[Diverging(), "squared_error"], estimator=FAST, on_fit=lambda *args: seen.append(args))
    assert [row.loss for row in board.rows] == ["squared_error"]
    assert board.skipped == [Skipped("diverging", "lightgbm", "FloatingPointError: made to fail")]
    assert seen == [(0, 2, "diverging on lightgbm"), (1, 2, "squared_error on lightgbm"), (2, 2, "done")]


def test_pairs_are_fitted_on_their_own_engine(data):
    board = compare(*data, losses=["squared_error", ("tweedie", "xgboost")], estimator=FAST)
    assert {(row.loss, row.engine) for row in board.rows} == {("squared_error", "lightgbm"), ("tweedie", "xgboost")}


def test_a_distribution_has_a_row_for_every_readout(data):
    train_X, train_y, test_X, test_y = data
    board = compare(*data, losses=["ziln", "squared_error"], engines=["lightgbm"], estimator=FAST)
    model = ZILNRegressor(n_estimators=8, learning_rate=0.2, n_jobs=1, random_state=3).fit(train_X, train_y)
    rows = {row.readout: row for row in board.rows if row.loss == "ziln"}
    assert set(rows) == {"mean", "median", "log_mean"}
    for readout in ("mean", "median"):
        predicted = model.predict(test_X, readout)
        assert rows[readout].mae == pytest.approx(mean_absolute_error(test_y, predicted), rel=1e-12)
    assert rows["log_mean"].spearman == pytest.approx(
        spearmanr(test_y, model.predict(test_X, "log_mean")).statistic, rel=1e-12
    )
    assert math.isnan(rows["log_mean"].mae)
    assert math.isnan(rows["log_mean"].pcoc)
    assert len({row.fit_seconds for row in rows.values()}) == 1
    assert board.compile_seconds == pytest.approx(rows["mean"].compile_seconds + board.rows[-1].compile_seconds) or (
        board.compile_seconds == pytest.approx(rows["mean"].compile_seconds + board.rows[0].compile_seconds)
    )
    assert [row.family for row in board.rows] in (["log-normal"] * 3 + ["pointwise"], ["pointwise"] + ["log-normal"] * 3)


def test_the_summary_reads_one_model_twice():
    mean, log_mean = row("ziln", 0.8, 1.01, readout="mean"), row("ziln", 0.9, math.nan, mae=math.nan, readout="log_mean")
    summary = made_board(log_mean, mean, row("tweedie", 0.85, 0.99)).summary()
    assert "`ziln` read as its log mean ranks best (normalised Gini 0.90); read as its mean, its sum is 1% high" in summary
    assert "Start with `ziln` read as its log mean: it ranks best, and read as its mean, its sum is 1% high" in summary


def test_models_keep_defaults_of_their_own_unless_told(data):
    train_X, train_y, test_X, test_y = data
    given = {"n_estimators": 8, "learning_rate": 0.2, "n_jobs": 1, "random_state": 3}
    for extra in ({}, {"reg_lambda": 5.0}):
        board = compare(*data, losses=["bucket:n_buckets=8"], estimator=GBRegressor(**given, **extra))
        alone = BucketRegressor(8, **given, **extra).fit(train_X, train_y).predict(test_X)
        mean = next(row for row in board.rows if row.readout == "mean")
        assert mean.mae == pytest.approx(mean_absolute_error(test_y, alone), rel=1e-9)


def test_ranks_within_groups_of_a_column(data):
    train_X, train_y, test_X, test_y = data
    board = compare(*data, losses=["d2q:group=x"], estimator=FAST)
    model = D2QRegressor(GBRegressor(n_estimators=8, learning_rate=0.2, n_jobs=1, random_state=3), group="x")
    predicted = model.fit(train_X, train_y).predict(test_X)
    assert board.rows[0].mae == pytest.approx(mean_absolute_error(test_y, predicted), rel=1e-12)
    assert board.rows[0].family == "D2Q"


def test_compiling_is_not_charged_to_the_fit(data, monkeypatch):
    fitted = []
    fit = GBRegressor.fit

    def recorded(self, X, y, *args, **kwargs):
        fitted.append((self.n_estimators, type(X).__name__))
        return fit(self, X, y, *args, **kwargs)

    monkeypatch.setattr(GBRegressor, "fit", recorded)
    compare(*data, losses=["huberpp:link=log,label_floor=1"], estimator=FAST)
    assert fitted == [(1, "ndarray"), (8, "Table")]


def test_a_constant_target_is_allowed(data):
    train_X, _, test_X, _ = data
    board = compare(train_X, np.full(400, 2.0), test_X, np.full(200, 2.0), losses=["squared_error"], estimator=FAST)
    (row,) = board.rows
    assert (row.mae, row.pcoc) == (0.0, 1.0)
    assert math.isnan(row.normalized_gini)
    assert "judge by MAE and RMSE" in board.summary()
    assert json.loads(board.to_json())["rows"][0]["normalized_gini"] is None


def test_negative_targets_are_ranked_by_spearman(data):
    train_X, train_y, test_X, test_y = data
    board = compare(train_X, train_y - 1, test_X, test_y - 1, losses=["squared_error", "poisson"], estimator=FAST)
    assert board.ranking == "spearman"
    assert [skipped.loss for skipped in board.skipped] == ["poisson"]
    assert "Its Spearman is" in board.summary()
    assert "targets are negative" in board.summary()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_y": np.r_[np.nan, np.ones(399)]}, r"train_y: 1 of 400 labels are NaN or infinite"),
        ({"test_y": np.empty(0)}, r"test_y must be one-dimensional and not empty, got shape \(0,\)"),
        ({"sample_weight": np.ones(400)}, r"sample_weight and test_weight go together"),
        ({"sample_weight": -np.ones(400), "test_weight": np.ones(200)}, r"weights of the train rows must be >= 0"),
        ({"losses": ["twedie"]}, r"did you mean 'tweedie'\?"),
        ({"engines": ["lightgm"]}, r"did you mean 'lightgbm'\?"),
        ({"estimator": GBRegressor(n_estimators=0)}, r"'n_estimators' parameter"),
    ],
)
def test_bad_arguments_are_refused_before_training(data, changed, message, monkeypatch):
    monkeypatch.setattr(GBRegressor, "fit", lambda *args, **kwargs: pytest.fail("training has begun"))
    arguments = dict(zip(("train_X", "train_y", "test_X", "test_y"), data, strict=True)) | {"losses": ["tweedie"]} | changed
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


# -- names of losses


@pytest.mark.parametrize(
    ("loss", "label"),
    [
        (SquaredError(), "squared_error"),
        (Tweedie(power=1.2), "tweedie:power=1.2"),
        (Huberpp(delta=0.3, link="log"), "huberpp:delta=0.3,link=log"),
        (Huberpp(label_rescale=[[0, 1], [10, 2.5]]), "huberpp:label_rescale=[[0, 1], [10, 2.5]]"),
    ],
)
def test_labels_of_losses_are_read_back(loss, label):
    assert loss_label(loss) == label
    assert repr(parse_loss(label)) == repr(loss)


def test_parameters_given_apart_win():
    assert parse_loss("huberpp:delta=0.3,link=log", {"delta": 2.0}).get_params()["delta"] == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("huberp", r"loss='huberp' is not known: did you mean 'huberpp'\?"),
        ("huberpp:dleta=0.3", r"loss 'huberpp' has no parameter 'dleta': did you mean 'delta'\? It takes "),
        ("huberpp:delta=-1", r"Huberpp: delta=-1 is not a number in \(0, inf\)"),
        ("huberpp:delta=big", r"Huberpp: delta='big' is not a number in \(0, inf\)"),
        ("huberpp:delta", r"'delta' must be parameter=value"),
        ("am:gradient_on=raw", r"AM: gradient_on='raw' is a loss on the log score, got link='identity'"),
        ("huberpp:link=lgo", r"link='lgo' is not known"),
    ],
)
def test_bad_losses(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_loss(text)
    assert "\n" not in str(caught.value)


def test_the_default_roster_accounts_for_every_built_in_loss():
    roster, left = default_models()
    built_in = {name: cls for name, cls in known_losses().items() if cls.__module__.startswith("gbreg.")}
    losses = [model.loss for model in roster if isinstance(model, GBRegressor)]
    others = {model_label(model).partition(":")[0] for model in roster if not isinstance(model, GBRegressor)}
    assert {"bucket", "hurdle", "ziln"} <= others
    accounted = {loss.name for loss in losses} | {name for name, _ in left} | (others & set(built_in))
    assert {"squared_error", "poisson", "tweedie", "gamma", "huber", "huberpp", "am"} < accounted <= set(built_in)
    for name in set(built_in) - accounted:  # made from a formula, for example: nothing without its parameters
        with pytest.raises(ValueError):
            built_in[name]().check_parameters()
    for loss in losses:
        loss.check_parameters()
        if isinstance(loss, AM | Huberpp):
            assert loss.link == "log"
    labels = [model_label(model) for model in roster]
    assert len(set(labels)) == len(labels)
    assert [repr(parse_model(label)) for label in labels] == [repr(model) for model in roster]


def test_installed_engines(monkeypatch):
    assert installed_engines() == list(ENGINES)
    monkeypatch.setattr("gbreg.engines.packages.find_spec", lambda name: None if name == "xgboost" else object())
    assert installed_engines() == [name for name in ENGINES if name != "xgboost"]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("tweedie:power=1.2", GBRegressor(Tweedie(power=1.2))),
        ("bucket", BucketRegressor()),
        ("bucket:n_buckets=32,zeros=bucket", BucketRegressor(n_buckets=32, zeros="bucket")),
        ("ziln:factorized=false", ZILNRegressor(factorized=False)),
        ("hurdle:loss=gamma", HurdleRegressor(GBRegressor("bernoulli"), GBRegressor(Gamma()))),
    ],
)
def test_labels_of_models_are_read_back(text, model):
    assert repr(parse_model(text)) == repr(model)
    assert model_label(model) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bukcet", r"loss='bukcet' is not known: did you mean 'bucket'\?"),
        ("bucket:n_bucket=3", r"loss 'bucket' has no parameter 'n_bucket': did you mean 'n_buckets'\? It takes "),
        ("bucket:rank=0", r"SoftmaxBuckets: rank=0 must be an integer >= 1"),
        ("hurdle:loss=gama", r"loss='gama' is not known: did you mean 'gamma'\?"),
        ("d2q", r"loss 'd2q' ranks within groups of a column: name it, as in d2q:group=duration"),
    ],
)
def test_bad_models(text, message):
    with pytest.raises(InputError, match=message):
        parse_model(text)


# -- results


def test_csv_and_json_hold_the_rows(board, tmp_path):
    board.to_csv(tmp_path / "b.csv")
    with open(tmp_path / "b.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["loss"] for row in rows] == [*(row.loss for row in board.rows), "mean"]
    assert [float(row["mae"]) for row in rows] == [row.mae for row in (*board.rows, board.baseline)]
    board.to_json(tmp_path / "b.json", command="again")
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["command"] == "again"
    assert found["rows"][0]["mae"] == board.rows[0].mae
    assert found["parameters"]["n_estimators"] == 8
    assert found["loss_parameters"]["tweedie"]["power"] == 1.5
    assert {skipped["loss"] for skipped in found["skipped"]} == {"gamma", "huberpp:link=log"}
    assert found["profile"]["n_rows"] == 600
    assert {"python", "gbreg", "lightgbm"} <= set(found["versions"])


def test_the_profile_describes_train_and_test_together(board, data):
    y = np.r_[data[1], data[3]]
    profile = board.profile
    assert (profile.n_train, profile.n_test, profile.n_features) == (400, 200, 2)
    assert profile.zeros_share == (y == 0).mean()
    assert profile.p99_over_median == pytest.approx(np.quantile(y[y > 0], 0.99) / np.median(y[y > 0]), rel=1e-12)
    assert profile.zero_mae == pytest.approx(data[3].mean(), rel=1e-12)


def row(loss, gini, pcoc, mae=10.0, rmse=20.0, **changed):
    numbers = {"over_2x": 0.3, "under_2x": 0.2, "decile_error": 0.1, "mae": mae, "rmse": rmse, "normalized_gini": gini}
    numbers = dict.fromkeys(SHOWN, 0.5) | numbers | {"pcoc": pcoc}
    return replace(Row(loss, "lightgbm", 100, True, **numbers, fit_seconds=1.0, compile_seconds=2.0), **changed)


PROFILE = Profile(1000, 500, 7, 900, 0, 5.0, 5.1, 30.0, 4.9, False)


def made_board(*rows, baseline_pcoc=1.0):
    return Leaderboard(list(rows), row("mean", 0.0, baseline_pcoc, mae=30, rmse=40, engine=""), [], PROFILE)


def test_best_is_the_right_end_of_every_metric():
    a = row("a", 0.9, 0.5, mae=1.0, spearman=0.1, over_2x=0.1)
    b = row("b", 0.8, 1.25, mae=2.0, spearman=0.2, over_2x=0.2)
    c = row("c", math.nan, 0.79, mae=3.0, rmse=1.0, spearman=math.nan)
    best = {metric: made_board(a, b, c).best(metric).loss for metric in ("mae", "rmse", "spearman", "normalized_gini")}
    assert best == {"mae": "a", "rmse": "c", "spearman": "b", "normalized_gini": "a"}
    # 1.25 and 0.8 are equally far from 1 as ratios; 0.79 is further.
    assert made_board(a, b, c).best("pcoc") is b
    assert made_board(a, b, c).best("over_2x") is a
    assert made_board(row("n", 0.5, 1.0, mae=math.nan)).best("mae") is None


def test_the_summary_warns_of_a_ranking_winner_whose_sum_is_off():
    board = made_board(row("poisson", 0.91, 0.40, mae=9.0), row("squared_error", 0.85, 1.01))
    summary = board.summary()
    assert (
        "`poisson` ranks best (normalised Gini 0.91), but its sum is 60% low (PCOC 0.40): calibrate before bidding"
        in summary
    )
    assert "`squared_error` has the sum closest to the truth (PCOC 1.010); its normalised Gini is 0.060 below" in summary
    assert "To order rows, take `poisson`. For amounts that must add up, take `squared_error`" in summary
    assert "Or calibrate `poisson`" in summary
    assert "60% of the targets are 0 (900)" in summary
    assert (
        "predicting 0 everywhere nearly wins the MAE (it has 4.900): judge by normalised Gini together with PCOC" in summary
    )


def test_the_summary_finds_one_model_for_both():
    board = made_board(row("tweedie", 0.905, 0.80), row("poisson", 0.900, 0.98))
    assert "Start with `poisson`: it ranks nearly as well as the best" in board.summary()
    alone = made_board(row("poisson", 0.905, 0.98), row("tweedie", 0.800, 0.99))
    assert "Start with `poisson`: it ranks best, and its sum is 2% low (PCOC 0.98)." in alone.summary()


def test_the_summary_says_when_no_sum_is_right():
    summary = made_board(row("a", 0.9, 0.7), row("b", 0.895, 0.8), row("c", 0.5, 0.85), baseline_pcoc=0.75).summary()
    assert "No model here gets the sum right. Start with `b`" in summary
    assert "The mean moved by +33% from train to test" in summary


def test_predictions_gone_wild_are_named_and_not_recommended():
    summary = made_board(row("wild", 0.9, 1.0, rmse=49.0), row("tame", 0.85, 1.02)).summary()
    assert "By RMSE, `wild` does far worse than the constant mean (40.00)" in summary
    assert "Start with `tame`" in summary


def test_noise_that_no_model_beats_is_said_and_is_no_reason_to_exclude():
    summary = made_board(row("a", 0.3, 0.2, rmse=40.5), row("b", 0.2, 1.0, rmse=41.0)).summary()
    assert "By RMSE no model beats the constant mean (40.00)" in summary
    assert "far worse" not in summary
    assert "To order rows, take `a`. For amounts that must add up, take `b`" in summary


def test_the_summary_names_engines_only_where_there_are_several():
    one = made_board(row("a", 0.9, 1.0))
    two = made_board(row("a", 0.9, 1.0), row("a", 0.8, 1.0, engine="xgboost"))
    assert "Of `a`, its sum is" in one.summary()
    assert "`a` on lightgbm ranks best" in two.summary()


def test_the_summary_table_marks_the_best_and_lists_the_rest():
    board = replace(
        made_board(row("a", 0.9, 0.5, mae=1.0), row("b", 0.8, 1.0)), skipped=[Skipped("gamma", "", "needs y > 0")]
    )
    text = board.summary("Title", "gbreg compare t.csv", ["A notice."])
    assert text.startswith("# Title\n")
    assert "| `a` | lightgbm | **1.000** | **20.00** | **0.500** | **0.900** | 0.500 |" in text
    assert "| **1.000** | " in next(line for line in text.splitlines() if "| `b` |" in line)
    assert "\n\nA notice.\n\n" in text
    assert "- `gamma`: needs y > 0" in text
    assert "    gbreg compare t.csv\n" in text


def test_nothing_fitted_is_said():
    assert winners(made_board()) == ["No model was fitted: see why below."]
    assert "No model was fitted" in made_board().summary()


@pytest.mark.parametrize(
    ("pcoc", "words"),
    [
        (1.06, "its sum is 6% high (PCOC 1.06)"),
        (0.94, "its sum is 6% low (PCOC 0.94)"),
        (3.0, "its sum is 3.0 times the truth (PCOC 3.00)"),
        (-0.5, "its sum has the wrong sign or is 0 (PCOC -0.50)"),
        (math.nan, "its sum cannot be judged (the labels sum to 0)"),
    ],
)
def test_words_for_sums(pcoc, words):
    assert sum_words(pcoc) == words


def test_every_shown_metric_is_a_field_of_the_row():
    assert set(SHOWN) <= set(Row.__dataclass_fields__)


def test_one_model_alone_is_not_praised_as_the_best():
    y = np.r_[np.zeros(60), np.arange(1.0, 41.0)]
    board = scored({"mine": 0.5 * y + 1}, y)
    said = "\n".join([choice(board), *winners(board)])
    assert "Of mine, its sum is 38% low (PCOC 0.62). Calibrate it on rows that no model saw" in said
    assert "Its MAE is" in said
    assert not re.search("best|closest|fewest|least", said)


@pytest.mark.parametrize("name", ["mse", "L2", "regression"])
def test_names_of_other_libraries_are_understood(name):
    for asked in (get_loss, parse_model):
        with pytest.raises(ValueError, match="did you mean 'squared_error'"):
            asked(name)


def test_boosting_by_name_is_set_where_it_equals_a_default():
    X = np.arange(400.0).reshape(-1, 1)
    y = np.floor(X[:, 0] / 100)
    found = {}
    for name, given in (
        ("default", GBRegressor(n_estimators=5, n_jobs=1)),
        ("named", {"n_estimators": 5, "n_jobs": 1, "reg_lambda": 0.0}),
    ):
        board = compare(
            X[::2], y[::2], X[1::2], y[1::2], losses=["bucket:n_buckets=4"], estimator=given, keep_predictions=True
        )
        found[name] = board.predictions["bucket:n_buckets=4", "lightgbm", "mean"]
    own = BucketRegressor(n_buckets=4, n_estimators=5, n_jobs=1, reg_lambda=0.0).fit(X[::2], y[::2])
    np.testing.assert_array_equal(found["named"], own.predict(X[1::2]))
    assert not np.array_equal(found["named"], found["default"])
    with pytest.raises(ValueError, match=r"'reg_lamda'.*did you mean 'reg_lambda'\? They are"):
        compare(X, y, X, y, estimator={"reg_lamda": 0.0})


def test_no_model_is_praised_for_what_a_random_order_does():
    rng = np.random.default_rng(0)
    y, X = rng.exponential(size=800), rng.normal(size=(800, 2))
    board = compare(X[:400], y[:400], X[400:], y[400:], losses=["squared_error", "poisson"], estimator={"n_estimators": 5})
    assert board.ranks_by_chance
    said = " ".join(winners(board))
    assert said.startswith("No model ranks better than chance: ")
    assert re.search(r"\(one of 40 random orders has more than 0\.\d+\)", said)
    assert "ranks best" not in board.summary()
    assert "below the best" not in board.summary()
    assert choice(board).startswith("No model here ranks better than chance: look for better features")
    (alone,) = board.rows[:1]
    assert "no better than chance (one of 40" in winners(replace(board, rows=[alone]))[0]


@pytest.mark.parametrize(("shift", "metric"), [(0.0, "normalized_gini"), (-1.0, "spearman")])
def test_a_ranking_just_above_chance_counts(shift, metric):
    y = np.random.default_rng(0).exponential(size=400) + shift
    profile = Profile.of(y, y, None, None, 1)
    one = replace(made_board(row("a", profile.chance + 1e-3, 1.0), row("b", 0.0, 1.0)), profile=profile)
    one = replace(one, baseline=replace(one.baseline, normalized_gini=0.0 if metric == "normalized_gini" else math.nan))
    one = replace(one, rows=[replace(r, **{metric: r.normalized_gini}) for r in one.rows])
    assert (one.ranking, one.ranks_by_chance) == (metric, False)
    worse = replace(one, rows=[replace(r, **{metric: getattr(r, metric) - 2e-3}) for r in one.rows])
    assert worse.ranks_by_chance

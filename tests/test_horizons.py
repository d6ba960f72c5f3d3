"""Several horizons outside the estimator: metrics, the comparison, the page, the command line."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import gbreg
from gbreg import GBRegressor, HorizonRegressor, cli, metrics
from gbreg import _tables as tables
from gbreg.compare import compare, compare_horizons
from gbreg.datasets import make_ltv
from tests.browser import assert_fits, look, needs_browser

TARGETS = "ltv_30,ltv_60,ltv_90"
HORIZONS = (30, 60, 90)
SMALL = {"n_estimators": 5, "max_leaves": 8, "n_jobs": 1}


@pytest.fixture(scope="module")
def world():
    """Customers whose last windows are not complete, half of those to test by among them."""
    world = make_ltv(1_200, horizons=HORIZONS, zero_share=0.4, as_frame=True, random_state=0)
    table = world.data.assign(**world.target, channel=np.array(["ads", "shop"])[np.arange(1_200) % 2], part=world.split)
    table.loc[1_050:, "ltv_90"] = np.nan
    return table


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    where = tmp_path_factory.mktemp("horizons")
    world.to_csv(where / "t.csv", index=False)
    return where


def sides(world):
    """X and y of the rows to train on, then of those to test by."""
    for part in ("train", "test"):
        rows = world[world["part"] == part]
        yield rows[[f"x{j}" for j in range(1, 9)]]
        yield rows[TARGETS.split(",")].to_numpy()


def run(*arguments):
    return CliRunner().invoke(cli.application(), [str(a) for a in arguments], catch_exceptions=False)


def test_metrics_are_of_the_rows_known_at_each_horizon(world):
    X, y, new, truth = sides(world)
    predicted = HorizonRegressor(GBRegressor("poisson", **SMALL)).fit(X, y).predict(new)
    weight = np.linspace(0, 2, len(truth))
    for name in ("pcoc", "normalized_gini", "mae", "spearman"):
        found = metrics.by_horizon(name, truth, predicted, weight)
        for j, n in enumerate((300, 300, 150)):
            assert found[j] == metrics.METRICS[name](truth[:n, j], predicted[:n, j], weight[:n])
    unknown = np.where([True, True, False], truth, np.nan)
    assert np.isnan(metrics.by_horizon("mae", unknown, predicted)).tolist() == [False, False, True]
    assert metrics.crossing_share(predicted) == 0.0
    assert metrics.crossing_share(predicted[:, ::-1]) > 0.9
    with pytest.raises(ValueError, match=r"y_true has shape \(300, 3\) and y_pred \(300, 2\)"):
        metrics.by_horizon("mae", truth, predicted[:, :2])
    with pytest.raises(ValueError, match=r"y_pred has shape \(300,\), not \(n_samples, n_horizons\)"):
        metrics.crossing_share(predicted[:, 0])
    with pytest.raises(ValueError, match="y_pred must be finite; 450 of 900 values are not"):
        metrics.by_horizon("mae", truth, np.where(np.arange(300)[:, None] < 150, predicted, np.nan))


def test_a_comparison_measures_each_model_at_each_horizon(world, tmp_path):
    X, y, new, truth = sides(world)
    weights = {"sample_weight": np.linspace(0.5, 2, len(y)), "test_weight": np.linspace(1, 2, len(truth))}
    said = []
    found = compare_horizons(
        *(X, y, new, truth),
        horizons=HORIZONS,
        losses=["poisson", "bucket", "gamma", "d2q:group=nothing"],
        estimator=SMALL,
        on_fit=lambda *now: said.append(now),
        keep_predictions=True,
        **weights,
    )
    model = HorizonRegressor(GBRegressor("poisson", **SMALL)).fit(X, y, weights["sample_weight"])
    predicted = found.predictions["poisson", "lightgbm"]
    np.testing.assert_array_equal(predicted, model.predict(new))
    assert list(found.boards) == [30, 60, 90]
    for j, board in enumerate(found.boards.values()):
        known, trained = ~np.isnan(truth[:, j]), ~np.isnan(y[:, j])
        weight = weights["test_weight"][known]
        row = next(row for row in board.rows if row.loss == "poisson")
        for name in ("pcoc", "normalized_gini", "mae"):
            expected = metrics.METRICS[name](truth[known, j], predicted[known, j], weight)
            assert getattr(row, name) == pytest.approx(expected, rel=1e-12)
        mean = np.average(y[trained, j], weights=weights["sample_weight"][trained])
        assert board.baseline.pcoc == pytest.approx(metrics.pcoc(truth[known, j], np.full(known.sum(), mean), weight))
        assert (board.profile.n_train, board.profile.n_test) == (trained.sum(), known.sum())
        assert {row.loss for row in board.rows} == {"poisson", "bucket"}
        assert [skipped.loss for skipped in board.skipped] == ["gamma", "d2q:group=nothing"]
    assert [done for done, _, _ in said] == [0, 1, 2, 3]
    found.to_csv(tmp_path / "b.csv")
    table = pd.read_csv(tmp_path / "b.csv")
    assert table.groupby("horizon").size().tolist() == [3, 3, 3]
    assert set(table["loss"]) == {"poisson", "bucket", "mean"}
    found.to_json(tmp_path / "b.json", title="three")
    text = json.loads((tmp_path / "b.json").read_text())
    assert text["title"] == "three"
    assert [board["horizon"] for board in text["horizons"]] == [30, 60, 90]
    summary = found.summary("LTV", "gbreg compare t.csv", ["a notice"])
    assert [summary.count(f"# LTV, horizon {h}\n") for h in HORIZONS] == [1, 1, 1]
    assert (summary.count("gbreg compare t.csv"), summary.count("a notice")) == (1, 1)


def test_a_comparison_refuses_before_training(world):
    X, y, new, truth = sides(world)
    with pytest.raises(ValueError, match="test_y: y: of 300 rows none is known at horizon 90"):
        compare_horizons(X, y, new, truth * [1, 1, np.nan], horizons=HORIZONS)
    with pytest.raises(ValueError, match="train_y: compare_horizons needs sums that never fall"):
        compare_horizons(X, -y, new, truth, horizons=HORIZONS)
    with pytest.raises(ValueError, match="sample_weight and test_weight go together"):
        compare_horizons(X, y, new, truth, horizons=HORIZONS, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match=r"train_y has shape \(900, 3\): several horizons are what compare_horizons takes"):
        compare(X, y, new, truth)
    with pytest.raises(ValueError, match=r"horizons=\(30, 60\) needs \(n_samples, 2\)"):
        compare_horizons(X, y, new, truth, horizons=(30, 60))


@pytest.fixture(scope="module")
def page(world, tmp_path_factory):
    """Of a model and of predictions that cross, beside labels of which the first horizon has none above 0."""
    pytest.importorskip("jinja2")
    X, y, new, truth = sides(world)
    truth[:, 0] = 0.0
    model = HorizonRegressor(GBRegressor("poisson", **SMALL)).fit(X, y)
    falling = model.predict(new)[:, ::-1]
    path = tmp_path_factory.mktemp("page") / "h.html"
    return gbreg.report({"model": model, "<b>falls": falling}, new, truth, train=(X, y), path=path, title="LTV")


def test_a_page_has_a_curve_per_horizon(page):
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;falls predicts less at a later horizon than at an earlier one for " in text
    assert "<b>falls" not in text
    words = re.sub(r"<[^>]+>", " ", text)
    assert [words.count(f"test, horizon {h}") for h in HORIZONS] == [1, 1, 1]
    assert [text.count(f"{what}, a curve per horizon") for what in ("Calibration of model", "Gain of model")] == [1, 1]
    assert "PCOC at each horizon" in words


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page(page, tmp_path, width):
    script = """
      const table = document.getElementById("leaderboard"), heads = [...table.tHead.rows[0].cells];
      heads.find(h => h.textContent === "horizon").firstElementChild.click();
      Object.assign(found, {rows: [...table.tBodies[0].rows].map(r => [r.cells[0].textContent, r.cells[1].textContent])});"""
    found = look(page.read_text(encoding="utf-8"), script, width, tmp_path)
    assert_fits(found, width)
    assert [h for _, h in found["rows"]] == ["30", "30", "60", "60", "90", "90", "30", "60", "90"]
    assert [name for name, _ in found["rows"]][-3:] == ["constant mean"] * 3


def test_a_page_refuses_what_it_cannot_show(world, tmp_path):
    *_, truth = sides(world)
    with pytest.raises(ValueError, match="segment: a page of several horizons has none"):
        gbreg.report({"p": truth}, None, truth, segment=np.ones(300), path=tmp_path / "p.html")
    with pytest.raises(ValueError, match=r"model 'p' predicts the shape \(300, 2\), y has \(300, 3\)"):
        gbreg.report({"p": np.ones((300, 2))}, None, truth, path=tmp_path / "p.html")
    with pytest.raises(ValueError, match="y: no row is known at horizon 3"):
        gbreg.report({"p": np.ones((300, 3))}, None, truth * [1, 1, np.nan], path=tmp_path / "p.html")
    with pytest.raises(ValueError, match="X=None: model 'm' is an estimator"):
        gbreg.report({"m": HorizonRegressor(GBRegressor())}, None, truth, path=tmp_path / "p.html")
    assert not (tmp_path / "p.html").exists()


def test_the_command_line_fits_and_predicts(folder, world, tmp_path):
    model, out = tmp_path / "m.gbreg", tmp_path / "p.csv"
    options = ["--loss", "poisson", "--split", "part", "--rounds", 5, "--n-jobs", 1, "--model", model]
    done = run("fit", folder / "t.csv", "--target", TARGETS, *options)
    assert done.exit_code == 0, done.output
    known = [(world.loc[world["part"] == "train", name].notna()).sum() for name in TARGETS.split(",")]
    each = ", ".join(f"{n} at horizon {h}" for h, n in zip(HORIZONS, known, strict=True))
    assert f"complete: {each}." in " ".join(done.output.split())
    loaded = gbreg.load(model)
    assert loaded.horizons == (30, 60, 90)
    assert loaded.feature_names_in_.tolist() == [*(f"x{j}" for j in range(1, 9)), "channel"]
    done = run("predict", folder / "t.csv", "--model", model, "--out", out, "--keep", "part")
    assert done.exit_code == 0, done.output
    found = pd.read_csv(out)
    assert list(found) == ["part", "prediction_30", "prediction_60", "prediction_90"]
    X = tables.features(tables.read_table(folder / "t.csv"), list(loaded.feature_names_in_)).table
    np.testing.assert_allclose(found.iloc[:, 1:].to_numpy(), loaded.predict(X), rtol=1e-12)
    refused = run("predict", out, "--model", model, "--out", tmp_path / "q.csv", "--keep", "prediction_60")
    assert refused.exit_code == 2
    assert "--keep 'prediction_60' would clash" in refused.output


def test_the_command_line_compares(folder, tmp_path):
    pytest.importorskip("jinja2")
    options = [
        "--split",
        "part",
        "--loss",
        "poisson",
        "--loss",
        "tweedie",
        "--rounds",
        3,
        "--n-jobs",
        1,
        "--drop",
        "channel",
    ]
    done = run(
        *("compare", folder / "t.csv", "--target", TARGETS, *options),
        *("--out", tmp_path / "out", "--report", tmp_path / "page.html"),
    )
    assert done.exit_code == 0, done.output
    assert [done.output.count(f"Horizon {h}\n") for h in HORIZONS] == [1, 1, 1]
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert board.groupby("horizon")["loss"].apply(set).tolist() == [{"poisson", "tweedie", "mean"}] * 3
    assert "Calibration of tweedie, a curve per horizon" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("fit", ["--target", "ltv_90,ltv_60"], "their names end in rising numbers, such as ltv_30,ltv_60,ltv_90"),
        ("fit", ["--target", "ltv_30,channel"], "their names end in rising numbers"),
        ("fit", ["--target", "ltv_30,ltv_9"], "--target 'ltv_9' is not a column: did you mean 'ltv_90'?"),
        ("fit", ["--target", "x1,x2"], "have negative increments, such as refunds"),
        ("fit", ["--target", TARGETS, "--offset", "x1"], "--offset: HorizonRegressor does not take it"),
        ("compare", ["--target", "x1,x2"], "train_y: compare_horizons needs sums that never fall"),
        ("compare", ["--target", TARGETS, "--offset", "x1"], "--offset: not with a target at several horizons"),
        (
            "compare",
            ["--target", TARGETS, "--segment", "part", "--report", "p.html"],
            "--segment: not with a target at several",
        ),
        ("tune", ["--target", TARGETS, "--metric", "mae"], "tune takes one column: tune one horizon"),
    ],
)
def test_mistakes_on_the_command_line_end_in_one_line(folder, tmp_path, monkeypatch, command, options, message):
    monkeypatch.chdir(tmp_path)
    model = [] if command == "compare" else ["--model", "m.gbreg"]
    done = run(command, folder / "t.csv", *options, *model)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "m.gbreg").exists()

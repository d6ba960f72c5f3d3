"""The page: what it says, what it refuses, and how a browser shows it."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import gbreg
from gbreg import BucketRegressor, CalibratedRegressor, GBRegressor
from gbreg.metrics import METRICS, pcoc, segment_table
from gbreg.metrics.base import quietly
from gbreg.reporting import drift, pictures, scored
from gbreg.reporting.errors import gini_slope, length, mae_error, pcoc_error, spearman_slope, xauc_error
from tests.browser import assert_fits, look, needs_browser

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

EVIL = "<script>document.title='hacked'</script>"


def rows(n=1500, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "kind": pd.Categorical(rng.choice(["x", "y"], n))})
    y = np.where(rng.random(n) < 0.4, 0.0, np.exp(1 + X["a"] + rng.normal(size=n)))
    return X, y


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of three models, one of a whole distribution, and of predictions with a name that must not run."""
    X, y = rows()
    new, truth = rows(seed=1)
    models = {
        "tweedie": GBRegressor("tweedie", n_estimators=20, n_jobs=1).fit(X, y),
        "huber": GBRegressor("huber", n_estimators=20, n_jobs=1).fit(X, y),
        "buckets": BucketRegressor(n_buckets=16, n_estimators=20, n_jobs=1).fit(X, y),
        EVIL: np.full(truth.size, y.mean()),
    }
    segment = np.where(np.arange(truth.size) % 3 == 0, EVIL, "de")
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert gbreg.report(models, new, truth, segment=segment, train=(X, y), path=path, title=f"Sales & {EVIL}") == path
    return path, models, new, truth


class Text(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.words.append(data)


def test_it_is_one_file_that_says_what_was_measured(page):
    path, models, new, truth = page
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)  # nothing is fetched
    assert len(text) < 3_000_000
    read = Text(text)
    words = " ".join(" ".join(read.words).split())
    for name in ("tweedie", "huber", "buckets"):
        predicted = models[name].predict(new)
        for metric, error, shown in (
            ("pcoc", pcoc_error, "{:.3f}"),
            ("normalized_gini", ERRORS["normalized_gini"], "{:.3f}"),
            ("xauc", xauc_error, "{:.4f}"),
            ("mae", mae_error, "{:.3f}"),
        ):
            value = shown.format(METRICS[metric](truth, predicted))
            half = re.search(re.escape(f" {value} ± ") + r"([\d.]+)", words)[1]
            assert float(half) == pytest.approx(1.96 * error(truth, predicted, np.ones(truth.size)), rel=0.05)
    assert "n_estimators" in words
    assert "GBRegressor(loss='huber'" in words
    assert "Kolmogorov-Smirnov" in words
    assert f"gbreg {gbreg.__version__}" in words
    assert len(read.images) == 3 + 2 * len(models) + 1  # the PIT of the one that predicts a distribution
    assert all(image["alt"] and image["src"].startswith("data:image/svg+xml;base64,") for image in read.images)


def test_whether_a_model_has_a_distribution_is_asked_not_tried(tmp_path):
    class Broken(GBRegressor):
        def predict_distribution(self, X):
            raise TypeError("broken")

    X, y = rows(300)
    numbers = X[["a", "b"]]
    wrapped = CalibratedRegressor(GBRegressor("huber", n_estimators=2, n_jobs=1), cv=2).fit(numbers, y)
    path = gbreg.report({"no distribution": wrapped}, numbers, y, path=tmp_path / "r.html")
    assert len(Text(path.read_text(encoding="utf-8")).images) == 3 + 2
    model = Broken("ziln", n_estimators=2, n_jobs=1).fit(numbers, y)
    with pytest.raises(TypeError, match="broken"):
        gbreg.report(model, numbers, y, path=tmp_path / "r.html")


def test_names_do_not_run(page):
    text = page[0].read_text(encoding="utf-8")
    assert EVIL not in text
    assert Text(text).tags.count("script") == 1


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_sorts_it_and_nothing_overflows(page, tmp_path, width):
    script = """
      const table = document.getElementById("leaderboard"), heads = [...table.tHead.rows[0].cells];
      const names = () => [...table.tBodies[0].rows].map(r => r.cells[0].textContent);
      const sortBy = title => {
        const head = heads.find(h => h.textContent === title);
        head.firstElementChild.click();
        return {names: names(), sort: head.getAttribute("aria-sort")};
      };
      Object.assign(found, {pcoc: sortBy("PCOC"), again: sortBy("PCOC"), mae: sortBy("MAE")});"""
    path, models, new, truth = page
    found = look(path.read_text(encoding="utf-8"), script, width, tmp_path)
    assert_fits(found, width)
    assert found["title"] == f"Sales & {EVIL}"
    predictions = {n: m.predict(new) if hasattr(m, "predict") else m for n, m in models.items()}
    by_sum = sorted(predictions, key=lambda n: abs(np.log(pcoc(truth, predictions[n]))))
    assert found["pcoc"] == {"names": [*by_sum, "constant mean"], "sort": "ascending"}
    assert found["again"] == {"names": [*by_sum[::-1], "constant mean"], "sort": "descending"}
    by_mae = sorted(predictions, key=lambda n: np.abs(truth - predictions[n]).mean())
    assert found["mae"]["names"] == [*by_mae, "constant mean"]


@pytest.mark.parametrize(
    "y",
    [np.zeros(50), np.full(50, 3.0), np.r_[np.zeros(49), 1.0], np.linspace(-5, 5, 50), np.ones(1)],
    ids=["zeros", "constant", "one positive", "refunds", "one row"],
)
def test_odd_labels_have_a_page_too(y, tmp_path):
    path = gbreg.report({"half": np.full(y.size, 0.5), "ramp": np.arange(y.size) / 10.0}, None, y, path=tmp_path / "r.html")
    assert "Leaderboard" in path.read_text(encoding="utf-8")


def test_weights_count(tmp_path):
    y, p, w = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 2.0, 2.0]), np.array([1.0, 0.0, 2.0, 0.0])
    path = gbreg.report({"two": p}, None, y, sample_weight=w, path=tmp_path / "r.html")
    assert f"{6 / 7:.3f} <small>± " in path.read_text(encoding="utf-8")


def test_the_constant_is_the_weighted_mean_of_train(tmp_path):
    train = (None, [1.0, 5.0], [3.0, 1.0])  # mean 2, of labels that average 4
    path = gbreg.report({"a": [1.0, 2.0]}, None, [3.0, 5.0], train=train, path=tmp_path / "r.html")
    last = " ".join(" ".join(Text(path.read_text(encoding="utf-8")).words).split()).split("constant mean")[-1]
    assert last.split()[4:6] == ["0.000", "0.500"]  # Gini and PCOC, after XAUC, MAE, RMSE and Spearman


X, Y = rows(40)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda **k: gbreg.report({}, None, Y, **k), "models must hold at least one"),
        (lambda **k: gbreg.report({"a": Y[:5]}, None, Y, **k), r"predictions of 'a' have shape \(5,\), y has 40 rows"),
        (lambda **k: gbreg.report({"a": Y * np.nan}, None, Y, **k), "predictions of 'a': 40 of 40 are NaN or infinite"),
        (lambda **k: gbreg.report({"a": Y}, None, np.where(Y > 0, np.inf, Y), **k), "y: .* labels are NaN or infinite"),
        (lambda **k: gbreg.report({"a": Y}, None, [], **k), "y must be one-dimensional and not empty"),
        (lambda **k: gbreg.report(GBRegressor(n_estimators=2, n_jobs=1).fit(X, Y), None, Y, **k), "X=None: model 'GBR"),
        (lambda **k: gbreg.report(GBRegressor(n_estimators=2, n_jobs=1).fit(X, Y), X[:5], Y, **k), "predicts 5 rows of it"),
        (lambda **k: gbreg.report({"a": Y}, None, Y, segment=[1], **k), "segment must be one-dimensional with one entry"),
        (lambda **k: gbreg.report({"a": Y}, None, Y, sample_weight=-Y, **k), "sample_weight"),
        (lambda **k: gbreg.report({"a": Y}, None, Y, train=(None, Y, Y[1:]), **k), "sample_weight of train has shape"),
    ],
)
def test_bad_input_writes_nothing(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(path=tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


ERRORS = {
    "mae": mae_error,
    "pcoc": pcoc_error,
    "normalized_gini": lambda y, p, w: length(w, gini_slope(y, p, w)),
    "spearman": lambda y, p, w: length(w, spearman_slope(y, p, w)),
    "xauc": xauc_error,
}


@pytest.mark.parametrize("metric", ERRORS)
def test_errors_are_those_of_resamples(metric):
    rng = np.random.default_rng(0)
    n = 600
    y = np.where(rng.random(n) < 0.3, 0.0, rng.exponential(size=n))
    p, w = np.round(np.sqrt(y) * rng.uniform(0.3, 1.5, n) + 0.2, 1), rng.random(n)
    drawn = [METRICS[metric](y, p, w * rng.multinomial(n, np.full(n, 1 / n))) for _ in range(1000)]
    assert ERRORS[metric](y, p, w) == pytest.approx(np.std(drawn), rel=0.12)


@pytest.mark.parametrize("metric", ["mae", "pcoc", "normalized_gini", "spearman"])
def test_errors_are_the_slopes_by_the_weights(metric):
    """Against differences: M(w + h e_i) for each row i."""
    rng = np.random.default_rng(1)
    y, p, w = np.round(rng.exponential(size=30), 1), np.round(rng.exponential(size=30), 1), rng.uniform(0.5, 2.0, 30)
    h = 1e-5 * np.eye(30)
    slopes = [(METRICS[metric](y, p, w + d) - METRICS[metric](y, p, w - d)) / 2e-5 for d in h]
    assert ERRORS[metric](y, p, w) == pytest.approx(np.linalg.norm(w * slopes), rel=1e-6)


def test_what_chance_can_tell(tmp_path):
    """A model and itself with a little noise; one far behind: as `difference` says."""
    rng = np.random.default_rng(0)
    y = rng.exponential(size=600)
    models = {"good": y * rng.uniform(0.5, 1.5, 600)}
    models |= {"twin": models["good"] * rng.uniform(0.98, 1.02, 600), "noise": y * rng.uniform(0, 9, 600)}
    length_of = [gini_slope(y, models[name], np.ones(600)) for name in ("good", "noise")]
    drawn = gbreg.metrics.difference("normalized_gini", y, models["good"], models["noise"])
    assert drawn.low > 0
    assert 2 * 1.96 * length(np.ones(600), length_of[0] - length_of[1]) == pytest.approx(drawn.high - drawn.low, rel=0.15)
    best = max(("good", "twin"), key=lambda name: METRICS["normalized_gini"](y, models[name]))
    (other,) = {"good", "twin"} - {best}
    text = gbreg.report(models, None, y, path=tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"Within chance, {other} ranks as well as {best} (95%" in text
    del models[other]
    text = gbreg.report(models, None, y, path=tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"{best} ranks better than every other model by more than chance" in text


def test_where_none_ranks_better_than_chance_none_is_said_to_rank_as_well(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.exponential(size=600)
    models = {"one": rng.exponential(size=600), "other": rng.exponential(size=600)}
    text = gbreg.report(models, None, y, path=tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No model ranks better than chance: " in text
    assert "No model here ranks better than chance: look for better features" in text
    assert "Within chance" not in text
    assert "ranks best" not in text


def test_errors_without_a_value():
    y, ones = np.zeros(5), np.ones(5)
    with quietly():
        assert all(np.isnan(ERRORS[metric](y, np.arange(5.0), ones)) for metric in ERRORS if metric != "mae")
        assert np.isnan(gini_slope(np.array([-1.0, 2.0]), np.arange(2.0), np.ones(2))).all()


def test_the_constant_to_beat_is_the_mean_of_train():
    board = scored({"one": [1.0, 1.0]}, [1.0, 3.0], train_y=[4.0, 4.0])
    assert board.baseline.pcoc == 2.0
    assert board.profile.n_train == 2
    assert scored({"one": [1.0, 1.0]}, [1.0, 3.0]).baseline.pcoc == 1.0
    weighted = scored({"one": [1.0, 1.0]}, [1.0, 3.0], train_y=[4.0, 8.0], train_weight=[3.0, 1.0])
    assert weighted.baseline.pcoc == 2.5
    assert weighted.profile.mean_train == 5.0


def test_stability_index_by_hand():
    before, after = np.array([0.0] * 5 + [1.0] * 5), np.array([0.0] * 8 + [1.0] * 2)
    expected = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert drift.stability_index(before, after, n_bins=2) == pytest.approx(expected)
    assert drift.stability_index(before.astype(str), after.astype(str)) == pytest.approx(expected)
    assert drift.stability_index(before, before) == 0.0
    gone = drift.stability_index(before, np.full(10, np.nan))
    assert gone > 1.0
    X, _ = rows(300)
    moved = X.assign(a=X["a"] + 2.0)
    assert drift.shifted(X, moved)[0][0] == "a"
    assert drift.shifted(X, moved)[1][1] == 0.0


def test_segments_are_those_of_the_table(page):
    path, models, new, truth = page
    segment = np.where(np.arange(truth.size) % 3 == 0, "s", "de")
    table = segment_table(truth, models["huber"].predict(new), segment=segment)
    words = " ".join(" ".join(Text(path.read_text(encoding="utf-8")).words).split())
    for shrunk in table.shrunk:
        assert f"{shrunk:.2f}" in words


@pytest.mark.parametrize("name", ["{}", "a rather long name of a model with parameters, no. {} on lightgbm"])
def test_legends_of_many_models_are_not_cut_off(name):
    """In the fonts that the page is laid out for: a reader's own are narrower."""
    y = np.random.default_rng(0).exponential(size=400)
    overlays = pictures.Overlays(y, None)
    for i in range(10):
        overlays.add(name.format(i), y ** (1 + 0.1 * i) - 0.05 * i)
    assert len(overlays.pictures()) == 3
    for *_, figure in overlays._shown:
        figure.draw_without_rendering()
        (ax,) = figure.axes
        legend, title = ax.get_legend().get_window_extent(), ax.xaxis.label.get_window_extent()
        assert 0 <= legend.x0 < legend.x1 <= figure.bbox.x1
        assert any(" ≤ 0" in text.get_text() for text in ax.get_legend().get_texts()) == (" / " in ax.get_ylabel())
        assert 0 <= legend.y0 < legend.y1 <= title.y0


@pytest.mark.parametrize("least", [1e-9, 1e-4, 1.0])
def test_long_ticks_leave_the_axis_its_title(monkeypatch, least):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figures = []
    monkeypatch.setattr(pictures, "encoded", lambda figure: figures.append(figure) or "")
    y = least * np.append(np.geomspace(1.0, 1e3, 60), -np.geomspace(1.0, 1e3, 60))
    overlays = pictures.Overlays(y, None)
    overlays.add("model", y)
    overlays.pictures()
    for figure in figures:
        FigureCanvasAgg(figure).draw()
        axis = figure.axes[0].yaxis
        assert axis.label.get_window_extent().x0 >= 0
        shown = [*axis.get_ticklabels(), *figure.axes[0].xaxis.get_ticklabels()]
        assert max(label.get_window_extent().x1 for label in shown) <= figure.bbox.width

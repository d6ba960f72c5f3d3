"""The study's page: what it says of every kind of study, and how a browser shows it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from gbreg import GBRegressor, HurdleRegressor
from gbreg.compare import number
from gbreg.losses import Huberpp
from gbreg.tuning import Choice, NoBestError, Tuned, TunedRegressor, Uniform, tune, write_study
from gbreg.tuning.folds import Fold
from gbreg.tuning.question import Question
from tests.browser import assert_fits, look, needs_browser
from tests.tuning.test_space import spend
from tests.tuning.test_tune import FEW, STEPS, AlwaysPruned, Diverging, quick

pytest.importorskip("jinja2")
matplotlib = pytest.importorskip("matplotlib")

optuna.logging.set_verbosity(optuna.logging.ERROR)

EVIL = "<script>document.title='hacked'</script>"
COMMAND = f"gbreg tune table.csv --storage study.db --target '{EVIL}'"


class Text(HTMLParser):
    """A page's words, images, and the table of trials as rows of texts."""

    def __init__(self, text: str):
        super().__init__()
        self.words: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.table: list[list[str]] = []
        self._in_table = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "table":
            self._in_table = dict(attrs).get("id") == "leaderboard"
        elif self._in_table and tag == "tr":
            self.table.append([])
        elif self._in_table and tag in ("td", "th"):
            self.table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._in_table = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._in_table and self.table and self.table[-1]:
            self.table[-1][-1] += data.strip()

    @property
    def said(self) -> str:
        return " ".join("".join(self.words).split())


def page(found: Tuned, folder: Path, **more: Any) -> Text:
    path = folder / "study.html"
    assert write_study(found, path, **more) == path
    return Text(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuned, Path]:
    """A search over losses, resumed from its file."""
    folder = tmp_path_factory.mktemp("search")
    X, y = spend()
    template = GBRegressor(n_estimators=4, n_jobs=1)
    for n_trials in (12, 30):
        found = tune(template, X, y, metric="mae", n_trials=n_trials, losses=["huber", "huberpp", "tweedie", "bernoulli"],
                     pruner=None, storage=folder / "study.db")  # fmt: skip
    write_study(found, folder / "study.html", title=f"Sales & {EVIL}", command=COMMAND)
    return found, folder / "study.html"


@pytest.fixture(scope="module")
def compromise(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuned, Path]:
    """A model of two boosters and many parameters by two metrics."""
    folder = tmp_path_factory.mktemp("compromise")
    X, y = spend()
    model = HurdleRegressor(GBRegressor("bernoulli", n_estimators=4, n_jobs=1), GBRegressor("am", n_estimators=4, n_jobs=1))
    found = tune(model, X, y, metric=["xauc", "abs_log_pcoc"], n_trials=12, cv=2)
    write_study(found, folder / "study.html", title=f"Sales & {EVIL}")
    return found, folder / "study.html"


def test_it_is_one_file_that_says_what_was_found(search: tuple[Tuned, Path]) -> None:
    found, path = search
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)  # nothing is fetched
    assert len(text) < 3_000_000
    read = Text(text)
    best = found.best_params_["recipe"]
    assert f"Trial {found.best_trial_.number} is the best: {best}, with mae {number(found.best_score_)} on" in read.said
    assert " ".join(found.code().split()) in read.said
    assert "Every trial trains on 240 rows and is measured on 60 others, drawn at random." in read.said
    assert "30 complete, 0 pruned for falling behind, 0 failed." in read.said
    assert "mae (lower is better)" in read.said
    assert "bernoulli: " in read.said  # not searched
    assert f"optuna {optuna.__version__}" in read.said
    assert all(image["alt"] and (image["src"] or "").startswith("data:image/svg") for image in read.images)
    for title in ("History", "Recipes", "Which parameters matter"):
        assert title in read.said
    given = min(t.score[0] for t in found.trials_[: len(found.search_.models)] if t.score)
    assert f"had mae {number(given)}" in read.said or "no trial with other parameters did better" in read.said
    assert COMMAND in read.said
    assert "Study gbreg is stored. The same command goes on where it stopped" in read.said


def test_names_do_not_run(search: tuple[Tuned, Path]) -> None:
    text = search[1].read_text(encoding="utf-8")
    assert EVIL not in text
    assert Text(text).tags.count("script") == 1


def test_the_table_is_of_the_best_trials(search: tuple[Tuned, Path]) -> None:
    found, path = search
    heads, *rows = Text(path.read_text(encoding="utf-8")).table
    best = sorted((t for t in found.trials_ if t.score), key=lambda t: t.score or ())[:20]
    assert [row[0] for row in rows] == [str(t.number) for t in best]
    assert [row[heads.index("mae")] for row in rows] == [number(t.score[0]) for t in best if t.score]
    assert [row[heads.index("recipe")] for row in rows] == [t.parameters["recipe"] for t in best]
    assert [row[heads.index("rounds")] for row in rows] == [
        " + ".join(map(str, t.rounds[0])).replace(" ", "\xa0") for t in best
    ]
    for row, trial in zip(rows, best, strict=True):
        own = {k: v for k, v in trial.parameters.items() if k not in heads}
        assert row[-1] == ", ".join(f"{k}={v:.4g}" for k, v in own.items())


def test_several_metrics(compromise: tuple[Tuned, Path]) -> None:
    found, path = compromise
    read = Text(path.read_text(encoding="utf-8"))
    assert f"It is one of {len(found.pareto_)} that no other beats in all metrics." in read.said
    heads, *rows = read.table
    front = [t.number for t in sorted(found.pareto_, key=lambda t: -(t.score or (0,))[0])]
    assert [int(row[0]) for row in rows[: len(front)]] == front
    beaten = {int(row[0]): row[heads.index("beaten by")] for row in rows}
    assert [n for n, word in beaten.items() if word == "none, chosen"] == [found.best_trial_.number]
    assert {n for n, word in beaten.items() if word != "some"} == set(front)
    assert len(heads) == 6 + 7 + 1  # the parameters that matter most, the rest in one column
    assert all(row[-1].count("=") == len(found.best_params_) - 7 for row in rows)
    assert "Compromises" in read.said
    assert "this 2 times, on other rows each time" in read.said
    assert "xauc (higher is better) and abs_log_pcoc (lower is better)" in read.said


def test_one_trial_has_a_page_without_plots(tmp_path: Path) -> None:
    read = page(quick(n_trials=1), tmp_path)
    assert "Trial 0 is the best" in read.said
    assert "1 trial in" in read.said
    assert "The model as it is given is this one" in read.said
    assert len(read.table) == 2
    assert read.images == []
    assert 'This study was kept in memory and has ended with its process. With storage="study.db"' in read.said


def test_the_estimator_keeps_what_was_found(tmp_path: Path) -> None:
    X, y = spend(zeros=0.0)
    model = TunedRegressor(GBRegressor("huberpp", n_estimators=5, n_jobs=1), n_trials=2, random_state=0).fit(X, y)
    assert f"mae {number(model.best_score_)} on rows held out" in page(model.found_, tmp_path).said


def test_pruned_trials_are_counted_and_have_no_score(tmp_path: Path) -> None:
    model = GBRegressor("huberpp", n_estimators=20, n_jobs=1)
    found = quick(model, n_trials=20, space=STEPS, sampler="random")
    states = [t.state for t in found.trials_]
    assert states.count("pruned") > 0
    read = page(found, tmp_path)
    assert f"{states.count('complete')} complete, {states.count('pruned')} pruned for falling behind" in read.said
    assert len(read.table) == 1 + min(20, states.count("complete"))


def test_failed_trials_are_grouped_by_their_reason(tmp_path: Path) -> None:
    space = {**FEW, "loss__C": Uniform(0.5, 3.0)}
    found = quick(GBRegressor(Diverging(), n_estimators=5), n_trials=10, space=space, sampler="random")
    failed = [t for t in found.trials_ if t.state == "fail"]
    assert len({t.reason for t in failed}) > 1  # they differ in numbers only
    read = page(found, tmp_path)
    assert f"{len(failed)} times: {failed[0].reason} (trials {', '.join(str(t.number) for t in failed)})" in read.said


def test_no_complete_trial_has_a_page_that_says_so(tmp_path: Path) -> None:
    X, y = spend(zeros=0.3)
    space = {**FEW, "loss__label_floor": Choice((None, -1.0)), "loss__delta": None}
    with pytest.raises(NoBestError) as error:
        tune(GBRegressor(Huberpp(label_floor=0.1), n_estimators=5), X, y, metric="mae", n_trials=3, space=space)
    found = error.value.found
    assert not found.has_best
    assert not hasattr(found, "best_estimator_")
    read = page(found, tmp_path)
    assert "There is no best model: no trial is complete. Of 3, 3 failed and 0 were pruned." in read.said
    assert "time: ValueError: Huberpp: label_floor=-1.0 must be > 0" in read.said or "label_floor=, the label" in read.said
    assert read.table == [["trial"]] or read.table == []
    assert read.images == []
    with pytest.raises(NoBestError) as error:
        quick(n_trials=3, pruner=AlwaysPruned())
    assert "Of 3, 0 failed and 3 were pruned." in page(error.value.found, tmp_path).said


def test_a_killed_trial_is_told_apart(tmp_path: Path) -> None:
    def stop(state: Any) -> None:
        if state.done == 3:
            raise KeyboardInterrupt

    found = quick(n_trials=8, progress=stop)
    found.study_.tell(found.study_.ask(), state=optuna.trial.TrialState.FAIL)
    rows = (None, np.zeros(1), None)
    question = Question(found.search_, [None], [Fold(rows, rows, rows)], None)
    again = Tuned(found.study_, question, "first", interrupted=True)
    read = page(again, tmp_path)
    assert "3 complete" in read.said
    assert "1 more was cut off, which does not count." in read.said
    assert "The search was stopped before its end." in read.said


def test_values_at_an_end_of_their_range_are_named(tmp_path: Path) -> None:
    space = {**STEPS, "learning_rate": Uniform(0.001, 0.01), "max_leaves": Choice((7, 8)), "subsample": Uniform(0, 1)}
    found = quick(GBRegressor("huberpp", n_estimators=5, n_jobs=1), n_trials=12, space=space)
    assert found.best_params_["learning_rate"] > 0.0097
    said = page(found, tmp_path).said
    assert re.search(r"learning_rate, 0\.0\d+, lies at the upper end of its range, 0.001 to 0.01: a wider one may do", said)
    assert "max_leaves, " not in said
    assert "subsample0 to 1" in said  # cells of a table: no words of a log scale


def test_scores_all_alike_and_parameters_that_never_move(tmp_path: Path) -> None:
    space = {**STEPS, "learning_rate": Choice((0.1,)), "max_leaves": Choice((31, 30))}
    found = quick(GBRegressor("huberpp", n_estimators=1, n_jobs=1, min_child_samples=10_000), n_trials=10, space=space)
    assert len({t.score for t in found.trials_}) == 1
    read = page(found, tmp_path)
    assert "Which parameters matter" not in read.said
    assert len(read.images) == 2  # history, and the one that moves


def test_nothing_of_matplotlib_is_left_changed(tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, before = plt.figure(), dict(matplotlib.rcParams)
    page(quick(n_trials=4), tmp_path)
    assert plt.get_fignums() == [figure.number]
    assert dict(matplotlib.rcParams) == before
    plt.close(figure)


def test_parts_of_a_study_are_not_announced(
    search: tuple[Tuned, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    page(search[0], tmp_path)
    assert caplog.messages == []
    optuna.create_study()
    assert "A new study created" in caplog.text
    optuna.logging.set_verbosity(before)


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["search", "compromise"])
def test_a_browser_sorts_it_and_nothing_overflows(
    which: str, width: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    script = """
      const table = document.getElementById("leaderboard"), heads = [...table.tHead.rows[0].cells];
      const sortBy = title => {
        const head = heads.find(h => h.textContent === title);
        head.firstElementChild.click();
        return {trials: [...table.tBodies[0].rows].map(r => Number(r.cells[0].textContent)), sort: head.ariaSort};
      };
      Object.assign(found, {trial: sortBy("trial"), again: sortBy("trial"), metric: sortBy(heads[1].textContent),
        rate: sortBy(heads.map(h => h.textContent).find(t => t.endsWith("learning_rate")))});"""
    found, path = request.getfixturevalue(which)
    text = path.read_text(encoding="utf-8")
    seen = look(text.replace("<details", "<details open"), script, width, tmp_path)
    assert_fits(seen, width)
    assert seen["title"] == f"Sales & {EVIL}"
    shown = [int(row[0]) for row in Text(text).table[1:]]
    assert seen["trial"] == {"trials": sorted(shown), "sort": "ascending"}
    assert seen["again"] == {"trials": sorted(shown)[::-1], "sort": "descending"}
    sign = -1 if found.metrics_[0] == "xauc" else 1
    assert seen["metric"]["trials"] == sorted(sorted(shown, reverse=True), key=lambda n: sign * found.trials_[n].score[0])
    name = next(n for n in found.best_params_ if n.endswith("learning_rate"))
    rates = [found.trials_[n].parameters[name] for n in seen["rate"]["trials"]]
    assert np.all(np.diff(rates) >= 0)


@needs_browser
@pytest.mark.parametrize("which", ["search", "compromise"])
def test_no_text_is_cut_off_or_over_another(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    script = """
      Object.assign(found, {texts: 0, cut: [], over: []});
      for (const image of document.images) {
        const svg = new DOMParser().parseFromString(atob(image.src.split(",")[1]), "image/svg+xml").documentElement;
        document.body.append(document.importNode(svg, true));
        const picture = document.body.lastElementChild, room = picture.getBoundingClientRect();
        const texts = [...picture.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
        found.texts += texts.length;
        texts.forEach(([text, r], i) => {
          if (r.left < room.left - 1 || r.right > room.right + 1 || r.top < room.top - 1 || r.bottom > room.bottom + 1)
            found.cut.push(text);
          for (const [other, q] of texts.slice(i + 1))
            if (Math.min(r.right, q.right) - Math.max(r.left, q.left) > 1 &&
                Math.min(r.bottom, q.bottom) - Math.max(r.top, q.top) > 3) found.over.push([text, other, image.alt]);
        });
        picture.remove();
      }"""
    _, path = request.getfixturevalue(which)
    seen = look(path.read_text(encoding="utf-8"), script, 1280, tmp_path)
    assert seen["texts"] > 100
    assert seen["cut"] == []
    assert seen["over"] == []


def test_a_best_trial_that_ranks_by_chance_is_not_praised(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise, y = rng.normal(size=(400, 2)), rng.exponential(size=400)
    model = GBRegressor(n_estimators=3, n_jobs=1)
    found = tune(model, noise, y, metric=["xauc", "mae"], n_trials=2, seed=0)
    (sentence,) = found.chance_words()
    assert re.fullmatch(
        r"No trial ranks better than chance: the best xauc is 0\.\d+, and one of 40 random orders has more than 0\.\d+\.",
        sentence,
    )
    assert sentence in page(found, tmp_path).said
    assert quick(metric="xauc").chance_words() == []

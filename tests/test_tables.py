"""Reading, writing, naming columns, features and splits, on small files of every format."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gbreg import _tables as tables
from gbreg._errors import InputError
from gbreg._files import check_writable, make_folder, replacing

SUFFIXES = (".parquet", ".pq", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".arrow", ".feather", ".ipc")


@pytest.fixture
def table():
    return pa.table({"x": [1.5, None, 3.0], "name": ["a", "b", None], "n": [1, 2, 3]})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read_back(table, tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    tables.write_table(table, path)
    assert tables.read_table(path).to_pydict() == table.to_pydict()
    assert os.listdir(tmp_path) == [path.name]  # no temporary file is left


def test_gzip_really_compresses(table, tmp_path):
    tables.write_table(table, tmp_path / "t.csv.gz")
    assert (tmp_path / "t.csv.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_arrow_streams_are_read(table, tmp_path):
    with pa.ipc.new_stream(str(tmp_path / "s.arrow"), table.schema) as stream:
        stream.write_table(table)
    assert tables.read_table(tmp_path / "s.arrow").equals(table)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xlsx", b"", r"'.*t\.xlsx' ends in '\.xlsx': use one of \.parquet"),
        ("t", b"", r"ends in 'no suffix'"),
        ("t.parquet", b"not parquet", r"cannot be read as \.parquet: "),
        ("t.csv", b"a,b\n1,2\n1,2,3\n", r"cannot be read as \.csv: "),
        ("t.arrow", b"not arrow", r"cannot be read as \.arrow: "),
        ("t.csv", b"a,b\n", r"has no rows"),
        ("t.csv", b"a,a\n1,2\n", r"two columns named 'a'"),
    ],
)
def test_unreadable_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        tables.read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_file_names_the_nearest(tmp_path, table):
    tables.write_table(table, tmp_path / "sales.parquet")
    with pytest.raises(InputError, match=r"no such file; did you mean 'sales\.parquet'\? "):
        tables.read_table(tmp_path / "sale.parquet")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.txt"]


def test_folders_for_results(tmp_path):
    made = make_folder(tmp_path / "a" / "b", "--out")
    assert made.is_dir()
    assert list(made.iterdir()) == []
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"--out '.*' cannot be made a folder"):
            make_folder(path, "--out")
    with pytest.raises(InputError, match=r"--model '.*' is a folder"):
        check_writable(tmp_path, "--model")
    with pytest.raises(InputError, match="does not exist: create it first"):
        check_writable(tmp_path / "none" / "m", "--model")


# -- columns


def test_column_lists(table):
    assert tables.column_list(table, ["x,n", "name", "x"], "--drop") == ["x", "n", "name"]
    with pytest.raises(InputError, match=r"--drop 'nam' is not a column: did you mean 'name'\? Columns are x, name, n"):
        tables.column_list(table, ["x,nam"], "--drop")
    odd = pa.table({"a,b": [1], "a": [2]})
    assert tables.column_list(odd, ["a,b"], "--drop") == ["a,b"]


def test_feature_names_leave_out_keys_and_keep_the_order(table):
    assert tables.feature_names(table, "n") == ["x", "name"]
    assert tables.feature_names(table, "n", never=("x", None)) == ["name"]
    assert tables.feature_names(table, "n", drop=["x"]) == ["name"]
    assert tables.feature_names(table, "n", keep=["name,n"]) == ["name"]


def test_labels():
    t = pa.table(
        {"y": [1.0, None, float("nan"), 4.0], "inf": [1.0, 2.0, float("inf"), 0.0], "s": list("abcd"), "b": [True] * 4}
    )
    with pytest.raises(InputError, match=r"--target 'y': 2 of 4 labels are missing \(NaN\): drop or fill"):
        tables.labels(t, "y")
    with pytest.raises(InputError, match=r"--target 'inf': 1 of 4 labels are infinite: drop"):
        tables.labels(t, "inf")
    with pytest.raises(InputError, match=r"--target 's' holds string, not numbers"):
        tables.labels(t, "s")
    assert tables.labels(t, "b").tolist() == [1.0] * 4


def test_weights():
    t = pa.table({"w": [1.0, -1.0], "zero": [0, 0], "ok": [0, 2]})
    assert tables.weights(t, None) is None
    assert tables.weights(t, "ok").tolist() == [0.0, 2.0]
    with pytest.raises(InputError, match=r"--weight 'w' must be >= 0; 1 of 2 values are not"):
        tables.weights(t, "w")
    with pytest.raises(InputError, match="--weight 'zero' is all zero"):
        tables.weights(t, "zero")


def test_features_are_numbers_and_dictionaries():
    t = pa.table(
        {
            "text": ["a", "b", None],
            "flag": [True, None, False],
            "money": [Decimal("1.50"), None, Decimal("2.25")],
            "constant": [7, 7, 7],
            "day": [datetime.date(2024, 1, day) for day in (1, 2, 3)],
            "nothing": pa.nulls(3),
            "nested": [[1], [2], [3]],
        }
    )
    found = tables.features(t, t.column_names)
    assert found.table.column_names == ["text", "flag", "money", "constant"]
    assert pa.types.is_dictionary(found.table["text"].type)
    assert found.table["flag"].to_pylist() == [1.0, None, 0.0]
    assert found.table["money"].to_pylist() == [1.5, None, 2.25]
    said = " ".join(found.notices)
    assert "Left out: day (dates and times: turn them into numbers" in said
    assert "Left out: nothing (no value in any row)." in said
    assert "Left out: nested (list<" in said


def test_features_need_a_column_and_finite_values():
    t = pa.table({"day": [datetime.date(2024, 1, 1)], "x": [float("inf")]})
    with pytest.raises(InputError, match=r"no column is left to learn from: Left out: day"):
        tables.features(t, ["day"])
    with pytest.raises(InputError, match=r"column 'x' holds 1 infinite values, first in row 0: .* --drop x"):
        tables.features(t, ["x"])


def test_keys_are_pointed_out():
    n = 1000
    t = pa.table(
        {
            "row": np.arange(n),
            "code": [f"c{i}" for i in range(n)],
            "user_id": np.arange(n) % 300,
            "count": np.arange(n) % 300,
            "price": np.linspace(0, 1, n),
        }
    )
    (notice,) = tables.features(t, t.column_names).notices
    assert notice.startswith("Looks like a key, not a feature: row, code, user_id.")
    assert notice.endswith("consider --drop row,code,user_id.")


def test_chunks_with_their_own_dictionaries_are_unified():
    chunks = [pa.array(values).dictionary_encode() for values in (["a", "b"], ["b", "c"])]
    found = tables.features(pa.table({"g": pa.chunked_array(chunks)}), ["g"]).table["g"]
    assert found.to_pylist() == ["a", "b", "b", "c"]
    assert found.num_chunks == 1


def test_matching_picks_by_name_and_type():
    t = pa.table({"extra": [1, 2], "g": [1, 2], "x": pa.nulls(2), "flag": [True, False]})
    found = tables.matching(t, ["x", "g", "flag"], ["g"], "table 't'")
    assert found.column_names == ["x", "g", "flag"]
    assert found["g"].to_pylist() == ["1", "2"]
    assert found["x"].type == pa.float64()
    with pytest.raises(InputError, match=r"table 't' lacks 1 of the 2 columns .*: extr\. Did you mean 'extra'\? Add"):
        tables.matching(t, ["g", "extr"], [], "table 't'")
    with pytest.raises(InputError, match=r"table 't': column 'x' holds string; the model was trained on numbers"):
        tables.matching(pa.table({"x": ["a"]}), ["x"], [], "table 't'")


# -- split


def test_split_by_column_leaves_other_rows_out():
    t = pa.table({"s": pa.array(["train", "gap", "test", None, "train"]).dictionary_encode()})
    split = tables.split_rows(t, column="s")
    assert split.train.tolist() == [True, False, False, False, True]
    assert split.test.tolist() == [False, False, True, False, False]
    assert split.left_out == 2


@pytest.mark.parametrize(("values", "side"), [(["train", "gap"], "test"), (["Test", "test"], "train")])
def test_split_column_without_a_side(values, side):
    with pytest.raises(InputError, match=rf"--split 's' has no row with the value '{side}'; its values are '"):
        tables.split_rows(pa.table({"s": values}), column="s")


DAYS = [datetime.date(2024, 1, day) for day in range(1, 5)]
TIMES = {
    "date": (pa.array(DAYS), "2024-01-03"),
    "timestamp": (pa.array(DAYS).cast(pa.timestamp("ns")), "2024-01-03"),
    "with a clock": (pa.array(DAYS).cast(pa.timestamp("us")), "2024-01-02T12:00"),
    "with a zone": (pa.array(DAYS).cast(pa.timestamp("us", "UTC")), "2024-01-03"),
    "integer": (pa.array([1, 2, 3, 4]), "3"),
    "float": (pa.array([1.0, 2.0, 3.0, 4.0]), "2.5"),
    "text": (pa.array(["2023", "2024-01", "2024-02", "2025"]), "2024-02"),
    "dictionary": (pa.array(["a", "b", "c", "d"]).dictionary_encode(), "c"),
}


@pytest.mark.parametrize("kind", TIMES)
def test_split_by_time(kind):
    column, cutoff = TIMES[kind]
    split = tables.split_rows(pa.table({"t": column}), time="t", cutoff=cutoff)
    assert split.train.tolist() == [True, True, False, False]
    assert split.test.tolist() == [False, False, True, True]


def test_split_by_time_leaves_missing_times_out():
    split = tables.split_rows(pa.table({"t": [1, None, 3]}), time="t", cutoff="2")
    assert split.train.tolist() == [True, False, False]
    assert split.test.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("column", "cutoff", "message"),
    [
        (DAYS, "soon", r"--cutoff 'soon' is not a date such as 2024-03-31; --time 't' runs from 2024-01-01"),
        ([1, 2], "1.5", r"--cutoff '1\.5' is not a value of type int64; --time 't' runs from 1 to 2"),
        ([1.0, 2.0], "nan", r"--cutoff 'nan' is not a value of type double"),
        ([1, 2], "1", r"--cutoff '1' leaves no row to train: 't' runs from 1 to 2: give a later one"),
        ([1, 2], "3", r"--cutoff '3' leaves no row to test: 't' runs from 1 to 2: give an earlier one"),
    ],
)
def test_bad_cutoffs(column, cutoff, message):
    with pytest.raises(InputError, match=message):
        tables.split_rows(pa.table({"t": column}), time="t", cutoff=cutoff)


def test_random_split_is_seeded_and_exact():
    t = pa.table({"x": np.arange(50)})
    a, b, other = (tables.split_rows(t, test_fraction=0.3, seed=seed) for seed in (1, 1, 2))
    assert a.test.sum() == 15
    assert (a.train == ~a.test).all()
    assert (a.test == b.test).all()
    assert (a.test != other.test).any()
    assert tables.split_rows(t).test.sum() == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 0.0}, r"--test-fraction 0\.0 must lie between 0 and 1"),
        ({"test_fraction": 1.0}, r"must lie between 0 and 1"),
        ({"test_fraction": 0.01}, r"--test-fraction 0\.01 of 4 rows leaves no row to test"),
        ({"test_fraction": 0.99}, r"leaves no row to train"),
        ({"column": "x", "test_fraction": 0.5}, r"--split and --test-fraction are different ways to split: give one"),
        ({"time": "x"}, r"--time needs --cutoff, the first value of the test rows"),
        ({"cutoff": "2"}, r"--cutoff needs --time"),
        ({"time": "xx", "cutoff": "2"}, r"--time 'xx' is not a column: did you mean 'x'\?"),
    ],
)
def test_bad_splits(options, message):
    with pytest.raises(InputError, match=message):
        tables.split_rows(pa.table({"x": [1, 2, 3, 4]}), **options)


def test_prepare_checks_only_the_rows_that_are_used(tmp_path):
    t = pa.table({"x": [1, 2, 3], "y": [1.0, None, 3.0], "w": [1.0, -1.0, 2.0], "s": ["train", "gap", "test"]})
    tables.write_table(t, tmp_path / "t.parquet")
    t = pq.read_table(tmp_path / "t.parquet")
    rows = tables.prepare(t, "y", ["x"], tables.split_rows(t, column="s"), "w")
    assert rows.train_y.tolist() == [1.0]
    assert rows.test_weight.tolist() == [2.0]
    assert rows.test_X["x"].to_pylist() == [3]
    assert rows.notices == ("Split: column 's'; 1 rows to train, 1 to test. Left out: 1.",)

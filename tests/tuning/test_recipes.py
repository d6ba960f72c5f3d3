"""Every recipe of the folder `tuning` runs on a small table, and is in its README."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gbreg._tables import write_table

FOLDER = Path(__file__).parents[2] / "tuning"
RECIPES = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x, duration = rng.normal(size=(2, 1500))
    y = np.where(rng.random(1500) < 0.3, 0.0, np.exp(1 + x + duration + 0.3 * rng.normal(size=1500)))
    customer, split = np.arange(1500) // 3, np.where(np.arange(1500) % 4 == 0, "test", "train")
    path = tmp_path / "spend.parquet"
    columns = {"x": x, "duration": np.exp(duration), "spend": y, "customer": customer, "split": split, "w": rng.random(1500)}
    write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_tunes_and_judges(recipe: Path, table: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    results = tmp_path / "results.jsonl"
    columns = ["--target", "spend", "--group", "customer", "--split", "split", "--weight", "w", "--duration", "duration"]
    spent = ["--trials", "3", "--rounds", "20", "--results", str(results)]
    import_module(recipe.stem).main([str(table), *columns, *spent])
    said = capsys.readouterr().out
    assert "on 375 rows not seen: default " in said
    assert "from gbreg import" in said
    (line,) = map(json.loads, results.read_text().splitlines())
    assert (line["recipe"], line["table"], line["trials"]) == (recipe.stem, "spend", 3)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_the_readme_has_every_recipe(recipe: Path) -> None:
    assert f"({recipe.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")

"""What the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import gbreg

ROOT = Path(__file__).parent.parent
NAMED = sorted(set(re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs" / "engines.md").read_text(encoding="utf-8"))))


@pytest.mark.parametrize(("file", "function"), NAMED)
def test_tests_named_in_the_table_of_engines_exist(file: str, function: str) -> None:
    assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_row_of_the_table_of_engines_names_a_test() -> None:
    lines = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|") and not line.startswith(("| ---", "| engine |", "| package |"))]
    assert len(rows) > 20
    assert all(re.search(r"`tests/\S+::\w+` \|$", row) for row in rows)


def test_what_may_be_imported_is_listed_once() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(r"`gbreg\.(\w+)`", readme.partition("<!-- public:begin -->")[2].partition("<!-- public:end -->")[0])
    )
    package = Path(gbreg.__file__).parent
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert listed == {name for name in modules if not name.startswith("_")} - {"cli"}  # which is a command
    assert listed == {name for name in gbreg.__all__ if isinstance(getattr(gbreg, name), ModuleType)}
    for name in listed:
        module = getattr(gbreg, name)
        assert module.__all__
        assert all(hasattr(module, public) for public in module.__all__)


def test_python_in_the_readme_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 4
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    row = np.arange(1000)
    X = pd.DataFrame({"a": rng.normal(size=row.size), "b": rng.normal(size=row.size)})
    y = np.where(rng.random(row.size) < 0.4, 0.0, np.exp(X["a"] + 0.3 * rng.normal(size=row.size)))
    names = {"X": X, "y": y, "w": np.ones(row.size), "X_new": X, "y_new": y}
    names |= {"customer": row // 2, "user": row // 2, "country": np.array(["de", "fr"])[row % 2]}
    names |= dict.fromkeys(("years", "years_new", "score", "score_new"), rng.uniform(0.5, 2.0, row.size))
    np.random.seed(0)  # noqa: NPY002 - scikit-learn draws held-out rows by it, and by some no round beats a constant
    for block in blocks:
        exec(block.replace("n_trials=50", "n_trials=1"), names)
    assert (tmp_path / "page.html").exists()
    assert (tmp_path / "model.gbreg").exists()

"""What the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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

"""Every example runs at its reduced size, prints a finite answer, and is in the README of examples."""

from __future__ import annotations

import math
import re
from importlib import import_module
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_answers_its_question(script, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = import_module(script.stem)
    assert example.__doc__.split("\n", 1)[0].endswith("?")
    example.main(["--quick", "--out", str(tmp_path)])
    answer = capsys.readouterr().out.splitlines()[-1]
    assert answer.startswith("Answer: ")
    assert not re.search(r"\b(nan|inf)\b", answer, re.IGNORECASE)
    figures = [float(figure) for figure in re.findall(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?", answer)]
    assert figures
    assert all(math.isfinite(figure) for figure in figures)
    for picture in tmp_path.iterdir():
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_readme_answers_every_example(script):
    question = script.read_text(encoding="utf-8").split('"""', 2)[1].split("\n", 1)[0]
    rows = [line for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if f"({script.name})" in line]
    assert len(rows) == 1
    asked, answer = rows[0].strip("| ").split(" | ")[:2]
    assert asked == question
    assert re.search(r"\d", answer)

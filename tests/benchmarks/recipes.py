"""Every recipe of `tuning/` on every set, as its own command; the outcomes go into the table of `tuning/README.md`.

``python -m tests.benchmarks.recipes FOLDER RESULTS.jsonl [--sets ...] [--recipes ...] [--trials 30] [--rows 20000] ...``

FOLDER is that of `tests.benchmarks.quality`. What RESULTS already holds is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gbreg._files import write_text
from tests.benchmarks.quality import SETS, DataSet

RECIPES = Path(__file__).parents[2] / "tuning"
NAMES = sorted(path.stem for path in RECIPES.glob("*.py") if not path.name.startswith("_"))
DURATION = {"kuairand_watch": "duration_s"}
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
HEAD = (
    "| recipe | metric | set | default | tuned | tuned less default | verdict |\n| --- | --- | --- | --- | --- | --- | --- |"
)


def command(recipe: str, folder: Path, data: DataSet, results: Path, given: argparse.Namespace) -> list[str]:
    who, *keys = data.keys
    said = ["--target", data.target, "--split", "split", "--group", who, "--results", str(results), "--n-jobs", "1"]
    said += ["--trials", str(given.trials), "--rows", str(given.rows), "--rounds", str(given.rounds)]
    if data.group is None and data.name != "pg15_claims":  # of one year
        said += ["--time", data.time]
    else:
        keys.append(data.time)
    for name, value in (("--weight", data.weight), ("--duration", DURATION.get(data.name)), ("--drop", ",".join(keys))):
        said += [name, value] if value else []
    return [sys.executable, str(RECIPES / f"{recipe}.py"), str(folder / f"{data.name}.parquet"), *said]


def outcomes(results: Path) -> dict[tuple[str, str], dict[str, Any]]:
    if not results.exists():
        return {}
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    return {(line["recipe"], line["table"]): line for line in lines}


def write(results: Path) -> None:
    """The table between its marks, recipes and sets in order."""
    readme = RECIPES / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    found = outcomes(results)
    keys = [(recipe, name) for recipe in NAMES for name in SETS if (recipe, name) in found]
    rows = [
        f"| [{recipe}]({recipe}.py) | {of['metric']} | {name} | {of['default']} | {of['tuned']} | {of['gain']} "
        f"| {of['verdict']} |"
        for recipe, name in keys
        for of in (found[recipe, name],)
    ]
    write_text(readme, "\n".join([f"{before}{BEGIN}", HEAD, *rows, END]) + rest.split(END)[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recipes", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--recipes", nargs="*", choices=NAMES, default=NAMES)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=300)
    given = parser.parse_args()
    for name in given.sets:
        for recipe in given.recipes:
            if (recipe, name) in outcomes(given.results) or (recipe == "d2q" and name not in DURATION):
                continue
            print(f"\n{name}: {recipe}", flush=True)
            subprocess.run(
                command(recipe, given.folder, SETS[name], given.results, given), check=False, env=dict(os.environ)
            )
    if given.results.exists():
        write(given.results)


if __name__ == "__main__":
    main()

"""Run the examples in full, each in a process of its own, and put their answers into README.md.

``python -m examples`` runs all, ``python -m examples drop_in own_loss`` these only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- answers:begin -->", "<!-- answers:end -->"
HEAD = "| question | answer | script | CPU seconds |\n| --- | --- | --- | --- |"


def answered(script: Path) -> str:
    """The row of an example in the table, after running it."""
    before = os.times()
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=True)
    after = os.times()
    # Not the clock's: examples run on one core, and another busy process would be counted too.
    seconds = sum(after[2:4]) - sum(before[2:4])
    print(f"{done.stdout}({script.name}: {seconds:.0f} s)\n", flush=True)
    lines = done.stdout.splitlines()
    if not lines[-1].startswith("Answer: "):
        raise ValueError(f"{script.name} must print 'Answer: ...' as its last line, got {lines[-1]!r}")
    pictures = sorted((FOLDER / "pictures").glob(f"{script.stem}*.png"))
    links = [f"[{script.name}]({script.name})", *(f"[picture](pictures/{picture.name})" for picture in pictures)]
    return f"| {lines[0]} | {lines[-1].removeprefix('Answer: ')} | {', '.join(links)} | {seconds:.0f} |"


def main() -> None:
    scripts = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if not path.name.startswith("_")}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*scripts, []], help="examples to run; all, if none is named")
    names = parser.parse_args().names or list(scripts)
    readme = FOLDER / "README.md"
    for name in names:
        row = answered(scripts[name])
        # Read and written anew for each: what has been answered stays, should a later example fail.
        before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
        table, after = rest.split(END)
        rows = {stem: line for line in table.splitlines() for stem in scripts if f"]({stem}.py)" in line} | {name: row}
        lines = "\n".join(rows[stem] for stem in sorted(rows))
        readme.write_text(f"{before}{BEGIN}\n{HEAD}\n{lines}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

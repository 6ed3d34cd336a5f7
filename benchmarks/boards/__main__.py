"""Writes the tables of README.md and benchmarks/README.md from the CSVs: python benchmarks/board.py [--check]

A table stands between `<!-- board: NAME -->` and `<!-- /board -->`. --check only says whether they are up to date.
"""

import argparse
import re
import sys
from pathlib import Path

from boards import distilled, quantised, whole_job

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", HERE / "README.md")
BLOCK = re.compile(r"(<!-- board: (\w+) -->\n)(.*?)(<!-- /board -->)", re.DOTALL)
TABLES = whole_job.TABLES | quantised.TABLES | distilled.TABLES


def written(text: str) -> str:
    """A page with its tables filled in."""
    return BLOCK.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], text)


def main() -> None:
    """Write the pages, or say which are behind their CSVs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if written(text) == text:
            continue
        if asked.check:
            sys.exit(f"{page.name} is behind its CSVs: python benchmarks/board.py")
        page.write_text(written(text), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Writes the tables of the README pages and of docs/ from the CSVs: python -m benchmarks.boards [--check]

A table stands between `<!-- board: NAME -->` and `<!-- /board -->`. --check only says whether they are up to date.
"""

import argparse
import re
import sys

from benchmarks.boards import builds, distillation, house, quantization
from benchmarks.support.paths import BENCHMARKS, REPOSITORY

PAGES = (REPOSITORY / "README.md", BENCHMARKS / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
BLOCK = re.compile(r"(<!-- board: (\w+) -->\n)(.*?)(<!-- /board -->)", re.DOTALL)
TABLES = builds.TABLES | quantization.TABLES | distillation.TABLES | house.TABLES


def fill_tables(text: str) -> str:
    """Return a page with its tables filled in."""
    return BLOCK.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], text)


def main() -> None:
    """Write the pages, or with --check exit with the first that is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if fill_tables(text) == text:
            continue
        if arguments.check:
            sys.exit(f"{page.relative_to(REPOSITORY)} is behind its CSVs: python -m benchmarks.boards")
        page.write_text(fill_tables(text), encoding="utf-8")


if __name__ == "__main__":
    main()

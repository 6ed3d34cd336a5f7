"""Writes the generated parts of README.md and docs/*.md from the source: python docs/tables [--check]

A part stands between `<!-- generated: NAME -->` and `<!-- /generated -->`. --check only says whether it is up to date.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

import entries
import rows
import settings

DOCS = Path(__file__).parent.parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- /generated -->)", re.DOTALL)


def demo() -> str:
    """What `make demo` printed when `make demo-text` ran it."""
    return f"```\n{(DOCS / 'demo.txt').read_text(encoding='utf-8')}```\n"


def floors() -> str:
    """The layers that import-linter holds, the highest first."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    named = (re.sub(r"\w+", r"`\g<0>`", layer) for layer in layers)
    return "".join(f"{number}. {layer}\n" for number, layer in enumerate(named, start=1))


PARTS = {"demo": demo, "floors": floors, **entries.PARTS, **rows.PARTS, **settings.PARTS}


def generated(text: str) -> str:
    """A page with its generated parts filled in."""
    return BLOCK.sub(lambda match: match[1] + PARTS[match[2]]() + match[4], text)


def main() -> None:
    """Write the pages, or say which of them is behind the source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if generated(text) == text:
            continue
        if check:
            sys.exit(f"{page.name} is behind the source: make docs")
        page.write_text(generated(text), encoding="utf-8")


if __name__ == "__main__":
    main()

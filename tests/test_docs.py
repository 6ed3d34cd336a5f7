"""README, AGENTS and docs/ agree with the source: their tables, links, commands, settings, Python and module names."""

import ast
import functools
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.config import Config

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", ROOT / "targets" / "README.md", *DOCS]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md"]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
LONGEST_README = 160
GENERATED = re.compile(r"<!-- generated: .*?<!-- /generated -->", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
MODULE = re.compile(r"\bedgekd(?!\.toml\b)(?:\.\w+)+|\bedgekd/[\w/]+(?:\.py)?")
TYPED = re.compile(r"`(edgekd [^`]+)`")
OPTION = re.compile(r"--[a-z][\w-]*")


def without_generated(page: Path) -> str:
    """Return a page without its generated parts."""
    return GENERATED.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language; "" selects those without one."""
    return [code for name, code in FENCE.findall(without_generated(page)) if name == language]


def prose(page: Path) -> str:
    """Return a page without its code blocks and generated parts."""
    return FENCE.sub("", without_generated(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: its headings, as GitHub spells them in links."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[str]:
    """Return the edgekd commands in the code and sentences of a page, without "edgekd" and comments."""
    lines = [line.partition(" #")[0] for code in blocks(page, "") for line in code.splitlines()]
    typed_lines = [match[1] for line in lines if (match := re.search(r"(?:^edgekd |\bedgekd (?=[a-z]))(.+)", line))]
    return [*typed_lines, *(typed.removeprefix("edgekd ") for typed in TYPED.findall(prose(page)))]


@functools.cache
def help_of(*command: str) -> str:
    """Return what `edgekd COMMAND --help` prints, or "" if there is no such command."""
    call = [sys.executable, "-m", "edgekd", *command, "--help"]
    process = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
    return process.stdout + process.stderr if process.returncode == 0 else ""


def table_rows(page: Path, part: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a generated table, without its heading."""
    block = re.search(
        rf"<!-- generated: {part} -->\n(.*?)<!-- /generated -->", page.read_text(encoding="utf-8"), re.DOTALL
    )
    for line in block[1].splitlines() if block else ():
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_generated_tables_are_up_to_date_with_the_source() -> None:
    process = subprocess.run([sys.executable, ROOT / "docs" / "tables", "--check"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("page", "part"),
    [
        ("settings.md", "settings"),
        ("settings.md", "models_options"),
        ("settings.md", "data_sets_options"),
        ("distilling.md", "losses_options"),
        ("distilling.md", "schemes_options"),
        ("pruning.md", "criteria_options"),
    ],
)
def test_every_option_has_a_meaning(page: str, part: str) -> None:
    rows = list(table_rows(ROOT / "docs" / page, part))
    assert rows
    assert [cells[:2] for cells in rows if not cells[-1]] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_point_to_files_and_headings_that_exist(page: Path) -> None:
    broken_links = []
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken_links.append(link)
    assert broken_links == []


@EACH_PAGE
def test_commands_that_a_page_shows_exist_with_their_options(page: Path) -> None:
    for command in commands(page):
        name, *_ = shlex.split(command)
        usage = help_of() if name.startswith("-") else help_of(name)
        assert usage, f"edgekd {command}: there is no such command"
        assert set(OPTION.findall(command)) <= set(OPTION.findall(usage)), f"edgekd {command}"


@EACH_PAGE
def test_make_targets_and_benchmarks_that_a_page_names_exist(page: Path) -> None:
    text, makefile = page.read_text(encoding="utf-8"), (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    modules = set(re.findall(r"python -m (benchmarks[\w.]*)", text))
    places = {name: ROOT / name.replace(".", "/") for name in modules}
    assert [name for name, path in places.items() if not path.is_dir() and not path.with_suffix(".py").is_file()] == []


@EACH_PAGE
def test_settings_that_a_page_shows_exist(page: Path) -> None:
    for code in blocks(page, "toml"):
        Config.model_validate(tomllib.loads(code))


@EACH_PAGE
def test_python_that_a_page_shows_can_be_read_and_its_imports_exist(page: Path) -> None:
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("edgekd"):
                missing = [alias.name for alias in node.names if not defined(f"{node.module}.{alias.name}")]
                assert missing == []


@EACH_PAGE
def test_modules_that_a_page_names_exist(page: Path) -> None:
    modules = {name.replace("/", ".").removesuffix(".py").rstrip(".") for name in MODULE.findall(prose(page))}
    assert [name for name in sorted(modules) if not defined(name)] == []


def test_the_source_tree_of_the_docs_names_every_room_and_no_other() -> None:
    tree = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8").partition("    edgekd/\n")[2]
    rooms = re.findall(r"^      (\w+)/", tree.partition("    targets/")[0], re.MULTILINE)
    assert sorted(rooms) == sorted(path.parent.name for path in (ROOT / "edgekd").glob("*/__init__.py"))


def defined(name: str) -> bool:
    """Return whether a dotted name is a module of edgekd or something that one of its modules contains."""
    path = ROOT / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module, attribute = path.parent, path.name
    source = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return source.is_file() and re.search(rf"\b{attribute}\b", source.read_text(encoding="utf-8")) is not None

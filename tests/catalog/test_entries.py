"""Tests of the catalog: its names lead to entries that exist, and a user's entry is read without running it."""

import sys
from pathlib import Path

import pytest

from edgekd import catalog
from edgekd.catalog import signatures
from edgekd.errors import ConfigError

ENTRIES = [(kind, name) for kind, names in catalog.KINDS.items() for name in names]

NETS = """
import no_such_library

class Tiny:
    def __init__(self, classes, width, depth=2, **kwargs): ...

class Strict:
    def __init__(self, classes, width, depth=2): ...

def score(group, batch, *, sharp=1.0): ...
"""


@pytest.fixture
def package(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a user's package that would fail if it were imported."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = own_folder / "theirpkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('it was run')\n")
    (folder / "nets.py").write_text(NETS)
    return folder


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_leads_to_a_file_that_has_it(kind: str, name: str) -> None:
    file, attribute = catalog.source_of(kind, name)
    assert file is not None
    assert file.is_file()
    signatures.signature(kind, name)
    assert attribute


def test_a_users_own_entry_is_read_without_being_run(package: Path) -> None:
    result = signatures.signature("model", "theirpkg.nets:Strict")
    assert result == signatures.Signature(("classes", "width", "depth"), ("classes", "width"), open_ended=False)
    assert "theirpkg" not in sys.modules


def test_an_unknown_option_is_refused_with_the_nearest_right_one(package: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        signatures.check_options("model", "theirpkg.nets:Strict", {"widht": 3}, "student", ["model"])
    assert "student.widht" in raised.value.what
    assert raised.value.remedy == "student.width"


def test_an_entry_that_takes_anything_is_given_anything(package: Path) -> None:
    signatures.check_options("model", "theirpkg.nets:Tiny", {"whatever": 3}, "student", [])


def test_a_criterions_group_and_batch_are_no_options(package: Path) -> None:
    assert signatures.signature("criterion", "theirpkg.nets:score") == signatures.Signature(
        ("sharp",), (), open_ended=False
    )


def test_a_name_that_a_module_lacks_is_refused_before_it_is_imported(package: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        signatures.signature("model", "theirpkg.nets:Strikt")
    assert "nets.py has no 'Strikt'" in raised.value.what
    assert raised.value.remedy == "'theirpkg.nets:Strict'"


def test_a_module_that_is_no_python_is_refused(package: Path) -> None:
    (package / "nets.py").write_text("class Tiny(:\n")
    with pytest.raises(ConfigError, match="can't be read as Python"):
        signatures.signature("model", "theirpkg.nets:Tiny")


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no module named 'nowhere\.at_all'"):
        catalog.source_of("model", "nowhere.at_all:Net")


def test_what_fails_while_it_is_imported_is_named(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("theirs.py").write_text("1 / 0\ndef net(): ...\n")
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        catalog.load("model", "theirs:net")

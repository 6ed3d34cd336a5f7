"""The scripts that compare commits count by the rules that they state, and say so where files differ."""

import csv
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from benchmarks.claims import house, same_bytes
from benchmarks.support import commits, record, source

FILES = {
    "__init__": "",
    "__main__": "from edgekd.cli import main",
    "errors": "class OnnxError(Exception): ...",
    "cli/__init__": "from edgekd import errors\nfrom edgekd.formats import onnx\ndef main():\n    '''Run.'''",
    "formats/__init__": "",
    "formats/onnx/__init__": "def write(): ...\ndef _private(): ...",
    "formats/tflite/__init__": "def write():\n    from edgekd.errors import OnnxError",
    "models/text": "'''Beside onnxruntime, of which no onnx file is named.'''\nimport onnxruntime  # not onnx",
}
"""A package that can be counted by hand: path -> text."""


@pytest.fixture
def counts(tmp_path: Path) -> dict[str, Any]:
    for name, text in FILES.items():
        path = tmp_path / "edgekd" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "edgekd" / "models" / "__init__.py").write_text("")
    return house.row(house.House.at(tmp_path))


def test_rooms_are_the_first_level_and_packages_are_of_every_level(counts: dict[str, Any]) -> None:
    # cli, errors, formats, models: cli imports errors and formats, formats errors
    assert (counts["rooms"], counts["room_arrows"]) == (4, 3)
    # formats.onnx and formats.tflite beside them: cli imports errors and formats.onnx, formats.tflite errors
    assert (counts["packages"], counts["package_arrows"]) == (6, 3)
    assert counts["loose_files"] == 1


def test_a_format_stands_where_a_name_a_literal_or_the_path_says_so(counts: dict[str, Any]) -> None:
    assert (counts["format_files"], counts["format_files_elsewhere"]) == (4, 3)  # cli, errors, tflite, and its own
    assert (counts["loss_files"], counts["target_files"]) == (0, 0)


def test_the_longest_file_and_the_names_without_a_docstring_are_found(counts: dict[str, Any]) -> None:
    assert (counts["longest_file"], counts["longest_file_lines"]) == ("edgekd.cli.__init__", 4)
    assert (counts["public_names"], counts["public_without_docstring"]) == (4, 3)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(): ...\ndef _g(): ...", ["f"]),
        ("class A:\n    def forward(self): ...\n    def __len__(self): ...\n    def _x(self): ...", ["A", "A.forward"]),
        ("class _A:\n    def f(self): ...", []),
        ("def f():\n    def inner(): ...\n    class Inner: ...", ["f"]),
        ("if True:\n    def f(): ...\nelse:\n    async def g(): ...", ["f", "g"]),
        ("try:\n    def f(): ...\nexcept ImportError:\n    def g(): ...", ["f"]),
    ],
)
def test_a_name_is_public_where_public_names_alone_lead_to_it(text: str, names: list[str]) -> None:
    assert [public.name for public in source.public_names(text)] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("'''onnx'''  # onnx", []),
        ("x = 1\n'''onnx'''", ["x"]),
        ("x = f'{y}.onnx'", ["x", "y", ".onnx"]),
        ("from a.onnx import b as c", ["a.onnx", "b", "c"]),
        ("a.onnx(onnx=1)", ["a", "onnx", "onnx"]),
        ("def f(onnx): ...", ["f", "onnx"]),
    ],
)
def test_comments_and_docstrings_name_nothing(text: str, names: list[str]) -> None:
    assert sorted(source.names_and_literals(text)) == sorted(names)


def test_a_file_with_other_bytes_is_a_row_that_says_so_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(commits, "short_name", lambda revision: revision)
    monkeypatch.setattr(commits, "name_of_working_tree", lambda: "later")
    monkeypatch.setattr(commits, "checkout", lambda revision: nullcontext(tmp_path))
    hashes = {tmp_path: "0" * 64, house.REPOSITORY: "0" * 15 + "1" * 49}
    monkeypatch.setattr(same_bytes, "build", lambda code, *_: {"model.tflite": "a" * 64, "model.onnx": hashes[code]})
    monkeypatch.setattr(sys, "argv", ["same_bytes.py", "--before", "earlier", "--networks", "digits", "--seeds", "0"])
    with pytest.raises(SystemExit, match="1 files differ"):
        same_bytes.main()
    rows = list(csv.DictReader((tmp_path / "same_bytes.csv").read_text().splitlines()))
    assert [(row["file"], row["same"]) for row in rows] == [("model.tflite", "yes"), ("model.onnx", "no")]
    assert {(row["before"], row["after"]) for row in rows} == {("earlier", "later")}
    assert rows[1]["sha256_after"] == "0" * 15 + "1"

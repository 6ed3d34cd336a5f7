"""Tests of the output and the exit codes of `edgekd convert` and `edgekd diff`."""

from pathlib import Path

import pytest
from support.foreign_files import ForeignFile
from support.foreign_networks import NETWORKS

from edgekd import cli
from edgekd.formats import tflite


def run(*arguments: str) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as exit_info:
        cli.main(list(arguments))
    return int(exit_info.value.code or 0)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    file = ForeignFile()
    Path("net.tflite").write_bytes(file.bytes(*NETWORKS["reshape with an open batch"](file)))
    return "net.tflite"


def test_convert_says_what_it_read_wrote_and_compared(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", source, "--out", "out", "--name", "kws", "--format", "tflite", "--samples", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    titles = {line[:11].strip() for line in lines}
    assert titles >= {"operators", "parameters", "MACs", "arena", "source", "tflite", "parity"}
    assert "4 (conv2d 3x3, reshape, linear, softmax)" in lines[0]
    assert any(line.startswith(f"tflite      {Path('out/kws.tflite')}, ") for line in lines)
    parity = [line for line in lines if line.startswith("parity")]
    assert parity and all("0 of 14 outputs differ" in line for line in parity)


def test_a_copy_is_identical_and_a_changed_one_exits_5(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    graph = tflite.read(Path(source))
    tflite.write(graph, Path("copy.tflite"))
    assert run("diff", source, "copy.tflite", "--samples", "2") == 0
    assert "0 of 14 outputs differ: net.tflite in LiteRT, copy.tflite in LiteRT" in capsys.readouterr().out
    graph.operators[2].bias[:] += 3000  # type: ignore[attr-defined]
    tflite.write(graph, Path("other.tflite"))
    assert run("diff", source, "other.tflite", "--samples", "2") == 5
    assert "they part at" in capsys.readouterr().err


def test_a_damaged_file_exits_1_in_two_lines(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("half.tflite").write_bytes(Path(source).read_bytes()[:900])
    assert run("convert", "half.tflite", "--out", "out") == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("error: half.tflite: it is damaged") and error[1].startswith("  try: ")
    assert len(error) == 2 and not Path("out").exists()


def test_a_format_that_edgekd_does_not_write_exits_2(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", source, "--out", "out", "--format", "coreml") == 2
    assert "there is no format coreml" in capsys.readouterr().err

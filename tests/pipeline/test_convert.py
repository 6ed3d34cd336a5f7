"""Tests of `edgekd convert` and `edgekd diff` on files of other converters: comparisons, differences and messages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.foreign_files import ForeignFile
from support.foreign_networks import NETWORKS

import edgekd
from edgekd.catalog.formats import FORMATS, format_module
from edgekd.catalog.runtimes import RUNTIMES
from edgekd.errors import ConfigError, ModelError, ParityError, UnsupportedOperatorError
from edgekd.formats import tflite
from edgekd.graph.ops import Conv2d, Linear
from edgekd.graph.structure import Graph
from edgekd.pipeline import convert as conversion
from edgekd.pipeline import diff as comparison
from edgekd.pipeline import foreign
from edgekd.pipeline.foreign import random_codes

HOSTS = ("litert", "onnxruntime")
NETWORK = "reshape with an open batch"


@pytest.fixture
def two_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restrict the runtimes to two, since each starts a process; the first test runs all of them."""
    monkeypatch.setattr(
        foreign,
        "runtimes_of",
        lambda kind: {name: row for name, row in RUNTIMES.items() if row.format == kind and name in HOSTS},
    )


def source(folder: Path, network: str = NETWORK) -> Path:
    file, path = ForeignFile(), folder / "source.tflite"
    path.write_bytes(file.bytes(*NETWORKS[network](file)))
    return path


def with_another_bias(graph: Graph) -> Graph:
    """Return a graph whose last layer with weights has another bias."""
    last = next(op for op in reversed(graph.operators) if isinstance(op, Linear))
    return replace(
        graph,
        operators=tuple(replace(op, bias=op.bias + 3000) if op is last else op for op in graph.operators),  # type: ignore[call-arg]
    )


def test_a_file_is_written_in_every_format_and_each_is_compared_in_its_runtimes(tmp_path: Path) -> None:
    result = edgekd.convert(source(tmp_path), tmp_path / "out", tuple(FORMATS), name="net", samples=4)
    assert result.identical
    conversion.judge(result)
    assert set(result.files) == set(FORMATS)
    for kind, (model, *others) in result.files.items():
        assert model == tmp_path / "out" / f"net.{kind}" and model.stat().st_size > 0
        assert all(path.parent == model.parent for path in others)
    assert (result.macs, result.parameters, len(result.operators)) == (36 * 108 + 7 * 144, 108 + 4 + 1008 + 7, 4)
    assert result.peak_ram_bytes > 0
    exact = {(row.what, row.against) for row in result.parity if row.exact}
    assert ("the source in LiteRT", "the reference as XNNPACK rounds") in exact
    assert ("net.tflite in LiteRT", "the source in LiteRT") in exact
    assert ("net.onnx in onnxruntime", "the reference as onnxruntime rounds") in exact
    assert "net.c in C on this host" in {what for what, _ in exact}
    assert ("net.onnx in onnxruntime", "the source in LiteRT") in {(r.what, r.against) for r in result.parity} - exact
    assert all(row.outputs == 4 * 7 for row in result.parity)


@pytest.mark.usefixtures("two_runtimes")
def test_a_written_file_that_differs_is_found_with_its_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = tflite.write
    monkeypatch.setattr(tflite, "write", lambda graph, *rest, **named: write(with_another_bias(graph), *rest, **named))
    result = edgekd.convert(source(tmp_path), tmp_path / "out", ["tflite"], samples=4)
    assert not result.identical
    bad = [row for row in result.parity if not row.passed]
    assert {row.what for row in bad} >= {"source.tflite in LiteRT"}
    assert all("linear" in row.parts for row in bad)
    with pytest.raises(ParityError, match=r"source.tflite in LiteRT differs from the source in LiteRT in \d+ of 28"):
        conversion.judge(result)


@pytest.mark.usefixtures("two_runtimes")
def test_a_source_that_the_reference_does_not_follow_is_found_with_its_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tflite.read
    monkeypatch.setattr(tflite, "read", lambda path: with_another_bias(read(path)))
    result = edgekd.convert(source(tmp_path), tmp_path / "out", ["onnx"], samples=4)
    first = result.parity[0]
    assert not first.passed and first.what == "the source in LiteRT"
    assert "linear" in first.parts


@pytest.mark.usefixtures("two_runtimes")
def test_a_runtime_that_does_not_run_the_source_is_a_note(tmp_path: Path) -> None:
    result = edgekd.convert(source(tmp_path, "convolution without a bias"), tmp_path / "out", ["tflite"], samples=2)
    assert any(note.startswith("not compared: LiteRT on source.tflite") for note in result.notes)
    assert "the source in LiteRT" not in {row.what for row in result.parity}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"formats": ["tensorrt"]}, "there is no format tensorrt"),
        ({"formats": []}, "there is no format named"),
        ({"samples": 0}, "0 samples compare nothing"),
        ({"out": "."}, "would be written over"),
        ({"source": "net.pt"}, "is of no format that edgekd knows"),
        ({"source": "net.tflite"}, "there is no file net.tflite"),
    ],
)
def test_mistyped_calls_are_config_errors(
    changes: dict[str, object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source(tmp_path)
    with pytest.raises(ConfigError, match=says):
        edgekd.convert(**{"source": "source.tflite", "out": "out", **changes})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_format_without_a_form_is_a_note_unless_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Path:
        raise UnsupportedOperatorError("layer x has no ONNX form", "another layer")

    monkeypatch.setattr(format_module("onnx"), "write", refuse)
    path = source(tmp_path)
    monkeypatch.setattr(foreign, "runtimes_of", lambda kind: {})
    result = edgekd.convert(path, tmp_path / "out")
    assert "onnx" not in result.files and "tflite" in result.files
    assert "no ONNX file: layer x has no ONNX form" in result.notes
    with pytest.raises(UnsupportedOperatorError, match="layer x"):
        edgekd.convert(path, tmp_path / "out", ["onnx"])


def test_nothing_is_written_of_a_file_that_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"\x10\0\0\0TFL3" + bytes(40))
    with pytest.raises(ModelError, match=r"net\.tflite"):
        edgekd.convert(tmp_path / "net.tflite", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_drawn_inputs_vary_and_stay_in_their_range(tmp_path: Path) -> None:
    graph = tflite.read(source(tmp_path, "embedding"))
    (tokens,) = random_codes(graph, 50, seed=0)
    assert tokens.dtype == np.int32 and tokens.min() == 0 and tokens.max() == 10
    (codes,) = random_codes(tflite.read(source(tmp_path)), 50, seed=0)
    assert codes.dtype == np.int8 and {*codes[-1].ravel()} == {-128, 127}
    assert np.std([sample.std() for sample in codes]) > 5


@pytest.mark.usefixtures("two_runtimes")
def test_a_file_and_its_copy_are_identical_and_another_is_not(tmp_path: Path) -> None:
    original = source(tmp_path)
    graph = tflite.read(original)
    copy = tflite.write(graph, tmp_path / "copy.tflite")
    other = tflite.write(with_another_bias(graph), tmp_path / "other.tflite")
    same = edgekd.diff(original, copy, samples=4)
    assert same.identical and len(same.rows) == 1
    comparison.judge(same)
    different = edgekd.diff(original, other, samples=4)
    assert not different.identical
    with pytest.raises(ParityError, match=r"by up to \d+ steps; they part at .* \(linear\)"):
        comparison.judge(different)


def test_files_of_two_formats_are_run_by_the_runtime_of_each(tmp_path: Path) -> None:
    original = source(tmp_path, "real values at both ends")
    onnx = format_module("onnx").write(tflite.read(original), tmp_path / "copy.onnx")
    (row,) = edgekd.diff(original, onnx, samples=4).rows
    assert (row.what, row.against) == ("source.tflite in LiteRT", "copy.onnx in onnxruntime")
    assert row.outputs == 4 * 4 * 36 and row.differing <= 2


@pytest.mark.usefixtures("two_runtimes")
def test_files_of_different_networks_are_refused(tmp_path: Path) -> None:
    original = source(tmp_path)
    (tmp_path / "other").mkdir()
    other = source(tmp_path / "other", "embedding")
    with pytest.raises(ModelError, match="takes"):
        edgekd.diff(original, other)


def test_weights_that_are_read_can_be_written_by_any_format_of_the_table(tmp_path: Path) -> None:
    """Formats without a reader are written from a graph that the reader of TFLite returns."""
    graph = tflite.read(source(tmp_path))
    assert any(isinstance(op, Conv2d) for op in graph.operators)
    for kind in FORMATS:
        assert format_module(kind).write(graph, tmp_path / f"net.{kind}").stat().st_size > 0

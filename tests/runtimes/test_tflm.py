"""Tests that TFLite Micro's runner and LiteRT's reference kernels compute with the same arithmetic."""

import sys
from pathlib import Path

import numpy as np
import pytest
from support.exported import codes, image, linear, write

from edgekd.catalog.runtimes import RUNTIMES, open_file
from edgekd.errors import MissingExtraError, ModelError
from edgekd.formats.tflite.packing import Code, Parts
from edgekd.runtimes.tflm import TFLMRunner

pytest.importorskip("tflite_micro", reason="TFLite Micro's kernels need the extra 'tflm'")


def test_a_float_batch_gives_the_answers_computed_by_hand(tmp_path: Path) -> None:
    runner = TFLMRunner(write(linear(), tmp_path, "tflite"))
    x = np.array([[1, 0], [0, 1], [2, -1]], np.float32)
    assert runner.run(x).tolist() == [[1.5, 3], [2.5, -1], [0.5, 7]]


def test_integer_codes_round_half_up_and_then_away_from_zero(tmp_path: Path) -> None:
    """Compute (x0 + x1) / 2 + 3: a half is rounded up once, so 0.5 -> 1, 1.5 -> 2 and -1.5 -> -1."""
    runner = TFLMRunner(write(codes(), tmp_path, "tflite"))
    actual = runner.run(np.array([[1, 0], [1, 2], [2, 2], [-3, 0]], np.int8))
    assert actual[:, 0].tolist() == [4, 5, 5, 2]


def test_tensors_are_described_as_litert_describes_them(tmp_path: Path) -> None:
    for graph in (codes(), image()):
        path = write(graph, tmp_path, "tflite")
        one, other = TFLMRunner(path), open_file(RUNTIMES["litert"].opens, path)
        assert one.inputs == other.inputs and one.outputs == other.outputs


def test_litert_runs_its_reference_kernels_on_request(tmp_path: Path) -> None:
    runner = open_file(RUNTIMES["litert-reference"].opens, write(codes(), tmp_path, "tflite"))
    assert "reference kernels" in runner.kernels
    assert runner.run(np.array([[1, 0]], np.int8)).tolist() == [[4]]  # 0.5 away from zero; the default kernels say 3


def test_an_operator_that_tflite_micro_refuses_is_named_with_its_own_words(tmp_path: Path) -> None:
    parts, path = Parts(), tmp_path / "model.tflite"
    x, y = (parts.tensor(name, (1, 2), np.float32, 0, None) for name in "xy")
    parts.operator(Code.ATAN2, 1, [x, x], y)
    path.write_bytes(parts.pack({"x": x}, {"y": y}, {}))
    with pytest.raises(ModelError, match=r"by TFLite Micro: .*ATAN2"):
        TFLMRunner(path)


def test_a_truncated_file_and_a_missing_one_are_named(tmp_path: Path) -> None:
    path = write(linear(), tmp_path, "tflite")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(ModelError, match=r"model.tflite can't be read"):
        TFLMRunner(path)
    with pytest.raises(ModelError, match="there is no file"):
        TFLMRunner(tmp_path / "none.tflite")


def test_without_tflite_micro_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(linear(), tmp_path, "tflite")
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(MissingExtraError) as caught:
        TFLMRunner(path)
    assert "edgekd[tflm]" in (caught.value.remedy or "")


def test_tflite_micro_says_nothing_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    TFLMRunner(write(linear(), tmp_path, "tflite")).run(np.zeros((1, 2), np.float32))
    assert capfd.readouterr().err == ""

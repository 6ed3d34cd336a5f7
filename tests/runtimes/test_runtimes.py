"""Tests that both runners compute and describe a file, and name a file that can't be read."""

from pathlib import Path

import numpy as np
import pytest
from support.exported import codes, image, linear, write

from edgekd.catalog.runtimes import host_runtime, open_file
from edgekd.errors import ModelError

KINDS = pytest.mark.parametrize("kind", ["tflite", "onnx"])


def open_runner(path: Path):
    return open_file(host_runtime(path.suffix[1:]).opens, path)


@KINDS
def test_a_batch_gives_the_answers_computed_by_hand(kind: str, tmp_path: Path) -> None:
    x = np.array([[1, 0], [0, 1], [2, -1]], np.float32)
    answers = open_runner(write(linear(), tmp_path, kind)).run(x)
    assert answers.tolist() == [[1.5, 3], [2.5, -1], [0.5, 7]]


@KINDS
def test_integer_codes_round_half_to_even(kind: str, tmp_path: Path) -> None:
    """Compute (x0 + x1) / 2 + 3: the sums 1, 3, 4 and -3 give 0.5 -> 0, 1.5 -> 2, 2 and -1.5 -> -2."""
    runner = open_runner(write(codes(), tmp_path, kind))
    shift = 128 if runner.input.dtype == np.uint8 else 0
    x = np.array([[1, 0], [1, 2], [2, 2], [-3, 0]]) + shift
    answers = runner.run(x.astype(runner.input.dtype)).astype(int) - shift
    assert answers[:, 0].tolist() == [3, 5, 5, 1]


@KINDS
def test_a_quantised_file_tells_its_scales(kind: str, tmp_path: Path) -> None:
    runner = open_runner(write(codes(), tmp_path, kind))
    shift = 128 if runner.input.dtype == np.uint8 else 0
    assert (runner.input.scale, runner.input.zero_point) == (1.0, shift)
    assert (runner.output.scale, runner.output.zero_point) == (2.0, 3 + shift)


@KINDS
def test_a_float_file_has_no_scale_and_its_own_order_of_axes(kind: str, tmp_path: Path) -> None:
    runner = open_runner(write(image(), tmp_path, kind))
    assert runner.input.shape == ((6, 5, 2) if kind == "tflite" else (2, 6, 5))
    assert runner.output.shape == (4,) and runner.input.scale is None


def test_the_two_runtimes_agree_on_an_image_in_their_own_orders(tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal((3, 2, 6, 5)).astype(np.float32)
    lite, ort = (open_runner(write(image(), tmp_path, kind)) for kind in ("tflite", "onnx"))
    np.testing.assert_allclose(lite.run(np.moveaxis(x, 1, -1).copy()), ort.run(x), rtol=1e-5, atol=1e-5)


@KINDS
def test_a_batch_in_the_wrong_order_or_dtype_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    runner = open_runner(write(image(), tmp_path, kind))
    for x in (np.zeros((1, 5, 6, 2), np.float32), np.zeros((1, *runner.input.shape), np.float64)):
        with pytest.raises(ModelError, match=f"model.{kind} takes"):
            runner.run(x)


@KINDS
def test_the_kernel_set_is_named_with_its_version(kind: str, tmp_path: Path) -> None:
    kernels = open_runner(write(linear(), tmp_path, kind)).kernels
    assert kernels.endswith("1 thread") and any(character.isdigit() for character in kernels.split()[1])


@KINDS
def test_a_truncated_file_is_named(kind: str, tmp_path: Path) -> None:
    path = write(linear(), tmp_path, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(ModelError, match=f"model.{kind} can't be read as"):
        open_runner(path)


@KINDS
def test_a_missing_file_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        open_runner(tmp_path / f"none.{kind}")


def test_litert_says_nothing_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_runner(write(linear(), tmp_path, "tflite"))
    assert capfd.readouterr().err == ""

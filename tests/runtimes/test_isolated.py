"""Tests that a file in a separate process gives the outputs of this process, and an error if the runtime misbehaves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import unruly_runtimes
from support.networks import Perceptron, lived_in, quantized

from edgekd.catalog.formats import format_module
from edgekd.catalog.runtimes import RUNTIMES
from edgekd.errors import ModelError
from edgekd.runtimes.codes import to_file_codes
from edgekd.runtimes.isolated import IsolatedRunner, Limits
from edgekd.runtimes.parity import Session

UNRULY = {
    "aborts": "ended by SIGABRT",
    "hangs": "took longer than",
    "eats": "Unable to allocate",
    "raises": "no kernel for that",
}
LIMITS = Limits(memory_bytes=4 * 2**30, seconds=10)


@pytest.mark.parametrize("name", ["litert", "onnxruntime"])
def test_a_file_answers_as_it_does_in_this_process(name: str, tmp_path: Path) -> None:
    runtime = RUNTIMES[name]
    _, graph, (codes,) = quantized(lived_in(Perceptron(), (3, 4, 4)), (3, 4, 4))
    path = format_module(runtime.format).write(graph, tmp_path / f"net.{runtime.format}")
    runner = IsolatedRunner(runtime, path)
    (info,) = runner.inputs
    here = Session(runtime, path)
    (actual,) = runner.run_all(to_file_codes(codes, info))
    expected = here.run(codes)[0]
    assert np.array_equal(actual.astype(np.int16) - (128 if actual.dtype == np.uint8 else 0), expected)
    assert runner.kernels == here.kernels


@pytest.mark.parametrize("what", UNRULY)
def test_a_runtime_that_misbehaves_is_an_error_in_one_line(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(unruly_runtimes.__file__).parents[1]))
    (tmp_path / "net.tflite").write_bytes(b"")
    runtime = replace(RUNTIMES["litert"], opens=f"support.unruly_runtimes:{what}")
    with pytest.raises(ModelError) as error:
        IsolatedRunner(runtime, tmp_path / "net.tflite", LIMITS)
    assert error.value.what.startswith("LiteRT on net.tflite") and UNRULY[what] in error.value.what
    assert "\n" not in error.value.what

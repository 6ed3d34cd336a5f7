"""Tests that the graphs of MLPerf Tiny's int8 reference models and their written files give the same codes.

The models are in ../shared beside the repository; benchmarks/claims/foreign_files.py runs all samples everywhere.
"""

from pathlib import Path

import numpy as np
import pytest

import edgekd
from edgekd.catalog.runtimes import RUNTIMES, open_file
from edgekd.formats.tflite import read
from edgekd.graph import cost, reference
from edgekd.pipeline.foreign import runtimes_of
from edgekd.runtimes.codes import to_file_codes

SHARED = Path(edgekd.__file__).parents[2] / "shared"
MODELS, SAMPLES = SHARED / "models" / "mlperf_tiny", SHARED / "data" / "mlperf_tiny_eval"
COUNT = 100
pytestmark = pytest.mark.skipif(
    not MODELS.is_dir() or not SAMPLES.is_dir(), reason=f"MLPerf Tiny's are not in {SHARED}"
)


def codes_of(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return samples that MLPerf Tiny's runner scores boards on, channels first."""
    with np.load(SAMPLES / name) as arrays:
        stored = arrays["x"][:COUNT].reshape(-1, *shape[1:], shape[0]).transpose(0, 3, 1, 2)
    return (stored.astype(np.int16) - (128 if stored.dtype == np.uint8 else 0)).astype(np.int8)


@pytest.mark.parametrize("runtime", runtimes_of("tflite"))
@pytest.mark.parametrize(("model", "samples"), [("kws_ref_model", "kws01"), ("pretrainedResnet_quant", "ic01")])
def test_a_published_model_is_computed_code_for_code(model: str, samples: str, runtime: str) -> None:
    path = MODELS / f"{model}.tflite"
    graph, row = read(path), RUNTIMES[runtime]
    codes = codes_of(f"{samples}.npz", graph.tensors[graph.input].shape)
    runner = open_file(row.opens, path)
    actual = runner.run(to_file_codes(codes, runner.input))
    assert len(np.unique(actual.argmax(-1))) >= 9
    assert int((actual != reference.run(graph, codes, kernels=row.kernels)).sum()) == 0


@pytest.mark.parametrize(
    ("model", "macs", "parameters"),
    [
        ("kws_ref_model", 2_656_768, 22_604),
        ("pretrainedResnet_quant", 12_501_632, 77_706),
        ("ad01_int8", 264_192, 265_864),
    ],
)
def test_its_costs_are_those_that_are_published(model: str, macs: int, parameters: int) -> None:
    graph = read(MODELS / f"{model}.tflite")
    assert (cost.macs(graph), cost.parameters(graph)) == (macs, parameters)


def test_copies_of_a_published_model_are_identical(tmp_path: Path) -> None:
    result = edgekd.convert(MODELS / "ad01_int8.tflite", tmp_path, samples=16)
    assert result.identical and not result.notes
    assert result.files["tflite"][0].stat().st_size <= result.source.stat().st_size

"""Every exporter of the catalog: (graph, path) -> the path of a file that its runner runs to the same outputs."""

from pathlib import Path

import numpy as np
import pytest
from support.networks import Perceptron, lived_in, quantized

from edgekd import catalog
from edgekd.graph import reference
from edgekd.graph.structure import KERNELS


@pytest.mark.parametrize("name", catalog.EXPORTERS)
def test_an_exporter_writes_what_its_runner_runs(name: str, tmp_path: Path) -> None:
    _, graph, (codes,) = quantized(lived_in(Perceptron(), (3, 4, 4)), (3, 4, 4))
    path = catalog.load("exporter", name)(graph, tmp_path / f"graph.{name}")
    assert path == tmp_path / f"graph.{name}"
    runner = catalog.load("runner", name)(path)
    assert runner.kernels
    taken = codes if runner.input.dtype == np.int8 else (codes.astype(np.int16) + 128).astype(np.uint8)
    taken = np.moveaxis(taken, 1, -1) if runner.input.shape == (4, 4, 3) else taken
    found = runner.run(np.ascontiguousarray(taken)).astype(np.int16)
    found = found if runner.output.dtype == np.int8 else found - 128
    assert np.array_equal(found, reference.run(graph, codes, kernels=KERNELS[name]))

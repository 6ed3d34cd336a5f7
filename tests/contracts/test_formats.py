"""Every format of the table writes a file that its own runtime runs to the outputs of the reference in its rounding."""

from pathlib import Path

import numpy as np
import pytest
from support.networks import Perceptron, lived_in, quantized

from edgekd.catalog.formats import FORMATS, format_module
from edgekd.catalog.runtimes import RUNTIMES, host_runtime
from edgekd.graph import reference
from edgekd.runtimes.parity import Session


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_writes_what_its_runtime_runs(name: str, tmp_path: Path) -> None:
    _, graph, (codes,) = quantized(lived_in(Perceptron(), (3, 4, 4)), (3, 4, 4))
    path = format_module(name).write(graph, tmp_path / f"model.{name}")
    assert path == tmp_path / f"model.{name}"
    assert path.read_bytes() == format_module(name).serialize(graph)
    session = Session(host_runtime(name), path)
    assert session.kernels
    assert np.array_equal(session.run(codes)[0], reference.run(graph, codes, kernels=FORMATS[name].kernels))


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_runs_files_of_a_format_in_the_table(name: str) -> None:
    assert RUNTIMES[name].format in FORMATS
    assert "{file}" in RUNTIMES[name].on_device

"""A runtime for tests that is added by one row: it runs files of `throw_away_format` by the reference or torch."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from edgekd.graph import files, reference
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.tensors import TensorInfo


class ThrowAwayRunner:
    """A loaded file."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
            self.graph = files.load(Path(folder))
        dtype = np.dtype(np.int8 if self.graph.quantized else np.float32)
        shapes = {name: self.graph.tensors[name].shape for name in (*self.graph.inputs, *self.graph.outputs)}
        self.inputs = tuple(TensorInfo(name, shapes[name], dtype) for name in self.graph.inputs)
        self.outputs = tuple(TensorInfo(name, shapes[name], dtype) for name in self.graph.outputs)
        self.kernels = "Throw-away kernels"

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return (N, ...) of every output from (N, ...) of every input."""
        if self.graph.quantized:
            return reference.run_all(self.graph, *x, kernels="xnnpack")
        with torch.no_grad():
            return (Simulation(self.graph)(*map(torch.from_numpy, x)).numpy(),)

    def ready(self, *x: np.ndarray) -> Callable[[], object]:
        """Return a function that runs one inference."""
        return lambda: self.run_all(*x)

"""Compares int8 files of other converters in each runtime with the reference, and with the files that edgekd writes.

python -m benchmarks.claims.foreign_files --models DIR --samples DIR [--inputs N]

The folder of --models has MLPerf Tiny's reference models kws_ref_model, pretrainedResnet_quant and ad01_int8 as .tflite
files. The folder of --samples has kws01.npz and ic01.npz, the samples on which MLPerf Tiny's runner scores boards. The
model ad runs on --inputs random samples, 1,000 by default, each with a mean and a standard deviation of its own. The
script writes results/foreign_files.csv, a row for each file and runtime, and exits with 1 on a mismatch.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.support.record import append
from edgekd.catalog.formats import FORMATS, format_module
from edgekd.catalog.runtimes import require
from edgekd.formats.tflite import read
from edgekd.graph import reference
from edgekd.graph.structure import Array, Graph
from edgekd.pipeline.foreign import answers, compare_codes, random_codes, runtimes_of

MODELS = {"kws": "kws_ref_model.tflite", "ic": "pretrainedResnet_quant.tflite", "ad": "ad01_int8.tflite"}
SAMPLES = {"kws": "kws01.npz", "ic": "ic01.npz"}
SOURCE_FORMAT = "tflite"


def codes_of(model: str, graph: Graph, folder: Path, inputs: int) -> Array:
    """Return the input codes of a model, (N, *input shape), channels first."""
    if model not in SAMPLES:
        return random_codes(graph, inputs, seed=0)[0]
    channels, height, width = graph.tensors[graph.input].shape
    with np.load(folder / SAMPLES[model]) as arrays:
        stored = arrays["x"].reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    codes: Array = (stored.astype(np.int16) - (128 if stored.dtype == np.uint8 else 0)).astype(np.int8)
    return codes


def differing(a: tuple[Array, ...], b: tuple[Array, ...]) -> int:
    """Return the number of codes that differ."""
    return compare_codes("one", a, "the other", b, exact=True).differing


def compare(model: str, path: Path, codes: Array) -> int:
    """Append the rows of one file; return the number of codes that differ in the exact comparisons."""
    graph, mismatches = read(path), 0
    originals: dict[str, tuple[Array, ...]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in FORMATS:
            written_file = format_module(kind).write(graph, Path(folder) / f"{model}.{kind}")
            for name, runtime in runtimes_of(kind).items():
                row: dict[str, object] = {
                    "model": model,
                    "runtime": name,
                    "rounding": runtime.kernels,
                    "inputs": len(codes),
                }
                written_codes = answers(runtime, written_file, graph, (codes,))
                expected = reference.run_all(graph, codes, kernels=runtime.kernels)
                if kind == SOURCE_FORMAT:
                    originals[name] = answers(runtime, path, graph, (codes,))
                    row |= {"source_vs_reference": differing(originals[name], expected)}
                    row |= {"written_vs_source": differing(written_codes, originals[name])}
                else:
                    row |= {"source_vs_reference": "", "written_vs_source": ""}
                host = originals[FORMATS[SOURCE_FORMAT].runtime]
                row |= {
                    "written_vs_reference": differing(written_codes, expected),
                    "written_vs_litert_source": differing(written_codes, host),
                    "outputs": sum(values.size for values in written_codes),
                    "distinct_outputs": len(np.unique(written_codes[0].reshape(len(codes), -1), axis=0)),
                    "source_bytes": path.stat().st_size,
                    "written_bytes": written_file.stat().st_size,
                }
                append("foreign_files", row)
                exact = ("source_vs_reference", "written_vs_source", "written_vs_reference")
                mismatches += sum(int(row[column]) for column in exact if row[column] != "")
    return mismatches


def main() -> int:
    """Parse the command line and compare every model; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR")
    parser.add_argument("--samples", type=Path, required=True, metavar="DIR")
    parser.add_argument("--inputs", type=int, default=1000, metavar="N")
    arguments = parser.parse_args()
    require("tflite-micro")
    mismatches = 0
    for model, name in MODELS.items():
        path = arguments.models / name
        mismatches += compare(model, path, codes_of(model, read(path), arguments.samples, arguments.inputs))
    return int(mismatches > 0)


if __name__ == "__main__":
    sys.exit(main())

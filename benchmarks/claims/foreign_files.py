"""Int8 files that others made: read, run by the reference, and written again, against the file itself in each runtime.

python -m benchmarks.claims.foreign_files --models DIR --samples DIR [--inputs N]

DIR of --models holds MLPerf Tiny's reference models (kws_ref_model, pretrainedResnet_quant, ad01_int8; .tflite), that
of --samples kws01.npz and ic01.npz, the samples that its runner scores boards on. For ad it gets --inputs drawn ones,
1,000 by default, each with a spread and a middle of its own. Writes results/foreign_files.csv, a row for each file and
runtime; exits with 1 on a mismatch.
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
from edgekd.pipeline.foreign import answers, compared, drawn_codes, runtimes_of

MODELS = {"kws": "kws_ref_model.tflite", "ic": "pretrainedResnet_quant.tflite", "ad": "ad01_int8.tflite"}
SAMPLES = {"kws": "kws01.npz", "ic": "ic01.npz"}
SOURCE_FORMAT = "tflite"


def codes_of(model: str, graph: Graph, folder: Path, inputs: int) -> Array:
    """The codes that a model is shown: (N, *input shape), channels first."""
    if model not in SAMPLES:
        return drawn_codes(graph, inputs, seed=0)[0]
    channels, height, width = graph.tensors[graph.input].shape
    with np.load(folder / SAMPLES[model]) as arrays:
        stored = arrays["x"].reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    codes: Array = (stored.astype(np.int16) - (128 if stored.dtype == np.uint8 else 0)).astype(np.int8)
    return codes


def differing(a: tuple[Array, ...], b: tuple[Array, ...]) -> int:
    """How many codes differ."""
    return compared("one", a, "the other", b, exact=True).differing


def compare(model: str, path: Path, codes: Array) -> int:
    """Write the rows of one file; how many codes differ in all."""
    graph, mismatches = read(path), 0
    originals: dict[str, tuple[Array, ...]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in FORMATS:
            written = format_module(kind).write(graph, Path(folder) / f"{model}.{kind}")
            for name, runtime in runtimes_of(kind).items():
                row: dict[str, object] = {
                    "model": model,
                    "runtime": name,
                    "rounding": runtime.kernels,
                    "inputs": len(codes),
                }
                again = answers(runtime, written, graph, (codes,))
                expected = reference.run_all(graph, codes, kernels=runtime.kernels)
                if kind == SOURCE_FORMAT:
                    originals[name] = answers(runtime, path, graph, (codes,))
                    row |= {"source_vs_reference": differing(originals[name], expected)}
                    row |= {"written_vs_source": differing(again, originals[name])}
                else:
                    row |= {"source_vs_reference": "", "written_vs_source": ""}
                host = originals[FORMATS[SOURCE_FORMAT].runtime]
                row |= {
                    "written_vs_reference": differing(again, expected),
                    "written_vs_litert_source": differing(again, host),
                    "outputs": sum(values.size for values in again),
                    "distinct_outputs": len(np.unique(again[0].reshape(len(codes), -1), axis=0)),
                    "source_bytes": path.stat().st_size,
                    "written_bytes": written.stat().st_size,
                }
                append("foreign_files", row)
                exact = ("source_vs_reference", "written_vs_source", "written_vs_reference")
                mismatches += sum(int(row[column]) for column in exact if row[column] != "")
    return mismatches


def main() -> int:
    """Parse the command line and compare."""
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

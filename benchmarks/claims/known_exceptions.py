"""The operators of which LiteRT's codes are not matched bit for bit: how often they differ, and by how much.

python -m benchmarks.claims.known_exceptions [--draws 200] [--seed 0]

`matmul`: of two activations, the second with a zero point other than 0, in the shape of attention's. XNNPACK has no
kernel for it; LiteRT's own was seen to differ from the reference near ties, in the build of a text encoder. Students
are quantised so that no matmul is of this kind.
`requantize`: by a factor between 2^-9 and 2^-8, of a tensor whose length is no multiple of 16: LiteRT takes another
kernel for the last values, which rounds half a step below zero the other way.
Writes results/known_exceptions.csv, a row an operator, over so many draws of scales, zero points and codes.
"""

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.support.record import append
from edgekd.catalog.runtimes import RUNTIMES
from edgekd.graph.ops import MatMul, Requantize
from edgekd.graph.structure import Array, Graph, Operator, Quantization, Tensor
from edgekd.runtimes import parity

SAMPLES, HEADS, ROWS, INNER = 16, 4, 32, 16
LENGTH = 16 * 8 + 9
Example = tuple[Graph, tuple[Array, ...]]


def quantization(scale: float, zero_point: int) -> Quantization:
    """Return a quantisation whose scale is a float32 number."""
    return Quantization(float(np.float32(scale)), zero_point)


def codes(chance: np.random.Generator, *shape: int) -> Array:
    """Return int8 codes that are distributed like activations, most of them far from the ends."""
    return chance.normal(0, 40, shape).round().clip(-128, 127).astype(np.int8)


def graph(op: Operator, tensors: dict[str, tuple[tuple[int, ...], Quantization]]) -> Graph:
    """Return a graph of one operator."""
    return Graph(
        op.inputs,
        (op.output,),
        {n: Tensor(n, *shape_and_quantization) for n, shape_and_quantization in tensors.items()},
        (op,),
    )


def matmul(chance: np.random.Generator) -> Example:
    """Return a random matmul, whose output scale fits the spread of the product, and its inputs."""
    a, b = (float(scale) for scale in chance.uniform(0.005, 0.05, 2))
    zero_point = int(chance.choice([z for z in range(-40, 41) if z]))
    tensors = {
        "a": ((HEADS, ROWS, INNER), quantization(a, int(chance.integers(-40, 41)))),
        "b": ((HEADS, ROWS, INNER), quantization(b, zero_point)),
        "y": ((HEADS, ROWS, ROWS), quantization(a * b * 75**2 * INNER**0.5 / 40, int(chance.integers(-20, 21)))),
    }
    inputs = (codes(chance, SAMPLES, HEADS, ROWS, INNER) for _ in "ab")
    return graph(MatMul("y", ("a", "b"), "y", transpose_b=True), tensors), tuple(inputs)


def requantize(chance: np.random.Generator) -> Example:
    """Return a random requantize with a factor of the exception, and its input."""
    scale, factor = float(chance.uniform(0.001, 0.01)), 1 / float(chance.integers(257, 512))
    tensors = {
        "x": ((LENGTH,), quantization(scale, int(chance.integers(-128, 128)))),
        "y": ((LENGTH,), quantization(scale / factor, int(chance.integers(-128, 128)))),
    }
    return graph(Requantize("y", ("x",), "y"), tensors), (codes(chance, 1, LENGTH),)


OPERATORS: dict[str, Callable[[np.random.Generator], Example]] = {"matmul": matmul, "requantize": requantize}


def main() -> None:
    """Compare random operators in LiteRT with the reference, and record a row for each operator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name, draw in OPERATORS.items():
        chance = np.random.default_rng(arguments.seed)
        rows = [row for _ in range(arguments.draws) for row in parity.layers(RUNTIMES["litert"], *draw(chance))]
        counts = {
            "operator": name,
            "seed": arguments.seed,
            "draws": arguments.draws,
            "draws_differing": sum(row.differing > 0 for row in rows),
            "codes": sum(row.outputs for row in rows),
            "codes_differing": sum(row.differing for row in rows),
            "largest_steps": max(row.largest_steps for row in rows),
        }
        append("known_exceptions", counts)


if __name__ == "__main__":
    main()

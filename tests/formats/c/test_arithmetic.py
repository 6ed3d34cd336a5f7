"""The C arithmetic of all kernels equals the integer reference on edge cases and on many random numbers."""

import subprocess
from pathlib import Path

import numpy as np
from support.c_programs import SANITIZERS, compile_strictly

from edgekd.formats.c.functions import blocks
from edgekd.graph.operators.arithmetic import round_twice

MAIN = """\
#include <stdint.h>
#include <stdio.h>

{functions}

int main(void)
{{
    {type} in[{count}];
    while (fread(in, sizeof in, 1, stdin) == 1) {{
        const {result} out = {call};
        fwrite(&out, sizeof out, 1, stdout);
    }}
    return 0;
}}
"""


def run_c(folder: Path, names: list[str], values: np.ndarray, call: str) -> np.ndarray:
    """Return the results of a C call for rows of int32 or float32 numbers."""
    kind = "float" if values.dtype == np.float32 else "int32_t"
    library = blocks("arithmetic")
    text = MAIN.format(
        functions="\n\n".join(library[name] for name in names), type=kind, result=kind, count=values.shape[1], call=call
    )
    (folder / "main.c").write_text(text)
    compile_strictly([folder / "main.c"], folder / "main", SANITIZERS)
    process = subprocess.run([folder / "main"], input=values.tobytes(), capture_output=True, check=True)
    return np.frombuffer(process.stdout, values.dtype)


def test_fixed_point_products_are_the_references(tmp_path: Path) -> None:
    """Compare sums over all 32 bits and every exponent; shifts to the left overflow as in the reference."""
    random = np.random.default_rng(0)
    edges = np.array([0, 1, -1, 2**30, -(2**30), 2**31 - 1, -(2**31)])
    sums = np.concatenate([edges, random.integers(-(2**31), 2**31, 200), random.integers(-2000, 2000, 200)])
    factors = np.array([0, 2**30, 2**30 + 1, 2**31 - 1, *random.integers(2**30, 2**31, 4)])
    rows = np.stack([part.ravel() for part in np.meshgrid(sums, factors, np.arange(-31, 31))], 1)
    names = ["shift_right", "wrapped", "high_product", "rounding_shift", "round_twice"]
    results = run_c(tmp_path, names, rows.astype(np.int32), "round_twice(in[0], in[1], in[2])")
    assert np.array_equal(results, round_twice(*rows.T))


def test_square_roots_are_correctly_rounded(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bits = np.concatenate([random.integers(0x00800000, 0x7F800000, 200_000), [0x00800000, 0x3F800000, 0x7F7FFFFF]])
    values = bits.astype(np.int32).view(np.float32)
    near_squares = np.nextafter(np.arange(1, 5000, dtype=np.float32) ** 2, np.float32(0))
    values = np.concatenate([values, near_squares])[:, None]
    assert np.array_equal(run_c(tmp_path, ["square_root"], values, "square_root(in[0])"), np.sqrt(values[:, 0]))


def test_real_numbers_round_half_to_even(tmp_path: Path) -> None:
    halves = np.arange(-600, 600, dtype=np.float32) / 2
    values = np.concatenate([halves, np.nextafter(halves, np.float32(1e9)), np.nextafter(halves, np.float32(-1e9))])
    names = ["round_half_even"]
    results = run_c(tmp_path, names, values[:, None].astype(np.float32), "(float)round_half_even(in[0])")
    assert np.array_equal(results, np.rint(values))

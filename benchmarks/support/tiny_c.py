"""Gives benchmarks and tests a fully connected layer as hand-written C in the form of edgekd's C, and its outputs.

`write` can insert other C code: beside the layer, or at the start of an inference.
"""

from pathlib import Path

import numpy as np

INPUTS, OUTPUTS = 32, 10
MACS = INPUTS * OUTPUTS
WEIGHTS = np.random.default_rng(0).integers(-127, 128, (OUTPUTS, INPUTS))
MULTIPLIER, SHIFT = 77, 14
HEADER = """
#include <stdint.h>
#define TINY_ARENA_BYTES {arena}
int8_t *tiny_input(void *arena, int index);
const int8_t *tiny_output(const void *arena, int index);
int tiny_invoke(void *arena);
"""
SOURCE = """
#include "tiny.h"

static const int8_t weights[{outputs}][{inputs}] = {{{weights}}};
{beside}

int8_t *tiny_input(void *arena, int index)
{{
    (void)index;
    return (int8_t *)arena;
}}

const int8_t *tiny_output(const void *arena, int index)
{{
    (void)index;
    return (const int8_t *)arena + {inputs};
}}

__attribute__((noinline)) static void fully_connected(const int8_t *in, int8_t *out)
{{
    for (int row = 0; row < {outputs}; row++) {{
        int32_t sum = 1 << {shift} - 1;
        for (int column = 0; column < {inputs}; column++) {{
            sum += {multiplier} * weights[row][column] * in[column];
        }}
        sum >>= {shift};
        out[row] = (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum);
    }}
}}

int tiny_invoke(void *arena)
{{
    {first}
    fully_connected((const int8_t *)arena, (int8_t *)arena + {inputs});
    return 0;
}}
"""


def write(folder: Path, *, beside: str = "", first: str = "", arena: int = INPUTS + OUTPUTS) -> list[Path]:
    """Write `tiny.h` and `tiny.c` to a folder, and return their paths.

    Args:
        folder: the folder for the files.
        beside: C code at the level of the file, before the functions.
        first: C code at the start of an inference.
        arena: the size of the arena in bytes.
    """
    header, source = folder / "tiny.h", folder / "tiny.c"
    header.write_text(HEADER.format(arena=arena))
    weights = ",".join(map(str, WEIGHTS.ravel()))
    layer = {"inputs": INPUTS, "outputs": OUTPUTS, "multiplier": MULTIPLIER, "shift": SHIFT, "weights": weights}
    source.write_text(SOURCE.format(**layer, beside=beside, first=first))
    return [header, source]


def samples(count: int) -> np.ndarray:
    """Return random inputs, `(N, 32)` int8, over the whole range of int8."""
    return np.random.default_rng(1).integers(-128, 128, (count, INPUTS)).astype(np.int8)


def answers(inputs: np.ndarray) -> np.ndarray:
    """Return the layer's outputs for these inputs, `(N, 10)` int8."""
    sums = MULTIPLIER * (inputs.astype(np.int64) @ WEIGHTS.T)
    return np.clip((sums + (1 << SHIFT - 1)) >> SHIFT, -128, 127).astype(np.int8)

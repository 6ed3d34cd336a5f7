"""Compiles C files for the tests with strict warnings and sanitizers, and runs them in a process of their own."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekd.formats import c
from edgekd.graph.structure import Array, Graph, Mode
from edgekd.runtimes.c import compiler, read_macros, tensors
from edgekd.runtimes.codes import from_file_codes, to_file_codes
from edgekd.runtimes.tensors import TensorInfo

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
SANITIZERS = ("-g", "-O1", "-fsanitize=undefined,address,float-cast-overflow", "-fno-sanitize-recover=all")

MAIN = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "{name}.h"

int main(void)
{{
    static const size_t inputs[] = {{{inputs}}};
    static const size_t outputs[] = {{{outputs}}};
    for (int sample = 0; sample < {samples}; ++sample) {{
        void *arena = malloc({upper}_ARENA_BYTES); /* no byte more: whatever is touched beside it is reported */
        memset(arena, 0xA5, {upper}_ARENA_BYTES);
        for (int i = 0; i < {upper}_INPUTS; ++i) {{
            if (fread({name}_input(arena, i), 1, inputs[i], stdin) != inputs[i]) {{
                return 3;
            }}
        }}
        if ({name}_invoke(arena) != 0) {{
            return 4;
        }}
        for (int i = 0; i < {upper}_OUTPUTS; ++i) {{
            fwrite({name}_output(arena, i), 1, outputs[i], stdout);
        }}
        free(arena);
    }}
    return 0;
}}
"""


def run_strictly(graph: Graph, codes: Sequence[Array], kernels: Mode, folder: Path, name: str = "net") -> list[Array]:
    """Run a graph's C file under sanitizers on codes (N, *shape) of every input; return the codes of every output.

    Each inference has an arena of its own on the heap, of exactly the size in the header, filled with a constant.
    """
    path = c.write(graph, folder / f"{name}.c", kernels=kernels)
    inputs, outputs = tensor_infos(path)
    feeds = [to_file_codes(values, info) for values, info in zip(codes, inputs, strict=True)]
    main = folder / "main.c"
    main.write_text(
        MAIN.format(
            name=name, upper=name.upper(), samples=len(codes[0]),
            inputs=", ".join(str(feed[0].nbytes) for feed in feeds),
            outputs=", ".join(str(np.prod(info.shape, dtype=int)) for info in outputs),
        )
    )  # fmt: skip
    program = folder / name
    compile_strictly([path, main], program, SANITIZERS)
    stdin = b"".join(feed[i].tobytes() for i in range(len(codes[0])) for feed in feeds)
    process = subprocess.run([program], input=stdin, capture_output=True, check=False)
    assert process.returncode == 0, (process.returncode, process.stderr.decode())
    assert not process.stderr, process.stderr.decode()
    sizes = [int(np.prod(info.shape, dtype=int)) for info in outputs]
    answers = np.frombuffer(process.stdout, np.int8).reshape(len(codes[0]), sum(sizes))
    parts = np.split(answers, np.cumsum(sizes)[:-1], axis=1)
    return [
        from_file_codes(part.reshape(len(part), *info.shape), info) for part, info in zip(parts, outputs, strict=True)
    ]


def compile_strictly(files: Sequence[Path], program: Path, flags: Sequence[str] = ()) -> None:
    """Compile C files to a program, and assert that the compiler prints no warning."""
    command = [*compiler(), *STRICT, *flags, *map(str, files), "-o", str(program)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def tensor_infos(path: Path) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Return the descriptions (inputs, outputs) in the header of a C file."""
    macros = read_macros(path)
    return tensors(macros, "INPUT"), tensors(macros, "OUTPUT")

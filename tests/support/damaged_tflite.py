"""Damages a TFLite file in many ways, and reads the result in a process of its own with limits on time and memory.

Run as `python damaged_tflite.py FILE FIRST COUNT`. It reads the mutations FIRST to FIRST + COUNT - 1 of a file and
prints a line for each: its number, and "graph" or the message of the error.
"""

import random
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SECONDS, MEMORY_BYTES = 10, 2**30
ABSURD = (0, -1, -2, 1, 7, 2**15, 2**28, 2**31 - 1)


def truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def flipped(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 2, 8, 64))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def wild_words(content: bytes, chance: random.Random) -> bytes:
    """Overwrite words of four bytes, most of them near the ends of the file, where offsets and lengths are."""
    damaged = bytearray(content)
    edge = chance.choice((256, 4096, len(damaged)))
    for _ in range(chance.choice((1, 3, 10))):
        place = chance.randrange(min(edge, len(damaged) - 4) // 4) * 4
        place = len(damaged) - 4 - place if chance.random() < 0.7 else place
        word = chance.choice((0, 4, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, len(content), chance.getrandbits(32)))
        damaged[place : place + 4] = word.to_bytes(4, "little")
    return bytes(damaged)


def absurd_shapes(content: bytes, chance: random.Random) -> bytes:
    def change(main: Any, model: Any) -> None:
        for _ in range(chance.choice((1, 4))):
            tensor = chance.choice(main.tensors)
            shape = [int(n) for n in np.ravel(tensor.shape)] or [1]
            shape[chance.randrange(len(shape))] = chance.choice(ABSURD)
            tensor.shape = np.array(chance.choice((shape, shape * 9, shape[1:])), np.int32)

    return with_changes(content, change)


def cycles(content: bytes, chance: random.Random) -> bytes:
    """Let operators read their own outputs, those of later operators, or tensors that do not exist."""

    def change(main: Any, model: Any) -> None:
        op, other = chance.choice(main.operators), chance.choice(main.operators)
        place = chance.randrange(len(op.inputs))
        wild = chance.choice((int(op.outputs[0]), int(other.outputs[0]), -1, -5, len(main.tensors), 2**31 - 1))
        op.inputs = np.array([wild if i == place else n for i, n in enumerate(op.inputs)], np.int32)
        if chance.random() < 0.3:
            main.operators.reverse()
        if chance.random() < 0.3:
            op.outputs = other.outputs

    return with_changes(content, change)


def wild_fields(content: bytes, chance: random.Random) -> bytes:
    """Set contradictory types, scales, zero points, buffers, operator codes and options."""

    def change(main: Any, model: Any) -> None:
        for _ in range(chance.choice((1, 3))):
            tensor, op = chance.choice(main.tensors), chance.choice(main.operators)
            match chance.randrange(6):
                case 0:
                    tensor.type = chance.randrange(20)
                case 1:
                    tensor.buffer = chance.choice((0, 1, len(model.buffers), 2**31))
                case 2 if tensor.quantization is not None:
                    tensor.quantization.scale = np.array([chance.choice((0, -1, np.nan, np.inf, 1e-40))], np.float32)
                case 3 if tensor.quantization is not None:
                    tensor.quantization.zeroPoint = np.array([chance.choice((300, -(2**40)))] * chance.choice((1, 3)))
                case 4:
                    chance.choice(model.operatorCodes).builtinCode = chance.randrange(200)
                case _:
                    for field, value in vars(op.builtinOptions or tensor).items():
                        if type(value) is int and chance.random() < 0.5 and "Type" not in field:
                            setattr(op.builtinOptions or tensor, field, chance.choice((0, 1, 2, 100)))

    return with_changes(content, change)


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    truncated, flipped, wild_words, absurd_shapes, cycles, wild_fields,
)  # fmt: skip


def with_changes(content: bytes, change: Callable[[Any, Any], None]) -> bytes:
    """Return the file after `change` has changed its objects (main subgraph, model)."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model.subgraphs[0], model)
    builder = flatbuffers.Builder(len(content))
    try:
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    except (TypeError, ValueError, OverflowError):  # the value is out of the field's range
        return content[: len(content) // 2]
    return bytes(builder.Output())


def mutation(content: bytes, number: int) -> bytes:
    """Return the mutation of a file with a number, which is always the same for the same number."""
    return MUTATIONS[number % len(MUTATIONS)](content, random.Random(number))


def outcome(content: bytes) -> str:
    """Read a file; return "graph", or the message of the error."""
    from edgekd.errors import ModelError
    from edgekd.formats.tflite.reading import deserialize

    try:
        deserialize(content)
    except ModelError as error:
        return error.what
    return "graph"


def main() -> None:
    path, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for number in range(first, first + count):
        signal.alarm(SECONDS)  # ends the process, and the test sees its exit status
        print(number, outcome(mutation(path.read_bytes(), number)), flush=True)


if __name__ == "__main__":
    main()

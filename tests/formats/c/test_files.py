"""A C file and its header keep their contract with firmware: names, memory, inputs, errors, and no static state."""

import ctypes
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.c_programs import compile_strictly, run_strictly
from support.networks import Perceptron, lived_in, quantized
from support.operator_examples import EXAMPLES, shapes

from edgekd.errors import ModelError
from edgekd.formats import c
from edgekd.formats.metadata import Preprocessing
from edgekd.graph import ops, reference
from edgekd.graph.structure import Array, Graph, Tensor
from edgekd.runtimes.c import CRunner, compiler, read_macros

GUARD = 64
"""The number of bytes on either side of an arena that must not change."""


@pytest.fixture(scope="module")
def perceptron() -> tuple[Graph, Array]:
    """Return an int8 graph and the codes of 32 samples."""
    _, graph, (codes,) = quantized(lived_in(Perceptron(), (3, 4, 4)), (3, 4, 4), kernels="tflm")
    return graph, codes


@pytest.mark.parametrize("name", ["kws-v2", "8bit", "int", "modèle", "a b"])
def test_a_name_that_c_does_not_take_is_refused_with_one_that_it_takes(
    name: str, perceptron: tuple[Graph, Array], tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as refusal:
        c.write(perceptron[0], tmp_path / f"{name}.c")
    assert repr(name) in refusal.value.what
    suggestion = str(refusal.value.remedy)
    assert c.write(perceptron[0], tmp_path / suggestion).is_file()


def test_two_models_link_into_one_program(perceptron: tuple[Graph, Array], tmp_path: Path) -> None:
    """Link two models: all that is not named after the model is static."""
    files = [c.write(perceptron[0], tmp_path / f"{name}.c") for name in ("first", "second")]
    main = tmp_path / "main.c"
    main.write_text(
        '#include "first.h"\n#include "second.h"\n'
        "static int8_t arena[FIRST_ARENA_BYTES + SECOND_ARENA_BYTES + 16];\n"
        "int main(void) { int8_t *a = arena + (16u - (uintptr_t)arena % 16u) % 16u;\n"
        "    return first_invoke(a) + second_invoke(a); }\n"
    )
    compile_strictly([*files, main], tmp_path / "both")
    assert subprocess.run([tmp_path / "both"], check=False).returncode == 0


def test_the_example_of_the_docs_compiles_and_classifies(perceptron: tuple[Graph, Array], tmp_path: Path) -> None:
    graph, codes = perceptron
    page = (Path(__file__).parents[3] / "docs" / "microcontrollers.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```c\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    prototype = "\nint classify(const int8_t *codes);\n"
    (tmp_path / "example.c").write_text(example.replace("\nint classify", f"{prototype}int classify", 1))
    files = [c.write(graph, tmp_path / "model.c"), tmp_path / "example.c"]
    compile_strictly(files, tmp_path / "example.so", ["-O2", "-shared", "-fPIC"])
    classify = ctypes.CDLL(str(tmp_path / "example.so")).classify
    answers = [classify(np.ascontiguousarray(sample.transpose(1, 2, 0)).tobytes()) for sample in codes]
    assert answers == reference.run(graph, codes, kernels="tflm").argmax(1).tolist()


@pytest.mark.skipif(not shutil.which("nm"), reason="nm lists what an object file needs")
def test_no_function_of_any_library_is_needed(perceptron: tuple[Graph, Array], tmp_path: Path) -> None:
    """Allow only the two functions that compilers emit for loops; every bare-metal C compiler provides them."""
    for kernels in ("tflm", "xnnpack"):
        file = c.write(perceptron[0], tmp_path / "net.c", kernels=kernels)
        subprocess.run([*compiler(), "-O2", "-c", str(file), "-o", str(tmp_path / "net.o")], check=True)
        symbols = subprocess.run(["nm", "-u", tmp_path / "net.o"], capture_output=True, text=True, check=True).stdout
        assert {line.split()[-1] for line in symbols.splitlines()} <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}


def test_the_header_says_what_a_caller_must_know(perceptron: tuple[Graph, Array], tmp_path: Path) -> None:
    graph = perceptron[0]
    source, output = graph.quantization(graph.input), graph.quantization(graph.output)
    pixels = Preprocessing(1 / 255, (0.5,) * 3, (0.25,) * 3)
    macros = read_macros(c.write(graph, tmp_path / "net.c", ("cat", 'a "dög"'), pixels))
    assert macros["INPUT_0_SHAPE"] == "{4, 4, 3}" and macros["INPUT_0_AXES"] == "{1, 2, 0}"
    assert macros["INPUT_0_TYPE"] == "int8_t" and macros["INPUT_0_ELEMENTS"] == "48"
    assert np.float32(macros["INPUT_0_SCALE"].rstrip("f")) == np.float32(source.scale)
    assert macros["OUTPUT_0_ZERO_POINT"] == f"({output.zero_point})" and macros["OUTPUT_0_SHAPE"] == "{4}"
    assert macros["LABELS"] == '{"cat", "a \\042d\\303\\266g\\042"}'
    weights = sum(op.weight.size for op in graph.weighted())
    channels = sum(len(op.bias) for op in graph.weighted())
    assert int(macros["CONSTANT_BYTES"]) == weights + 12 * channels


def test_the_same_graph_gives_the_same_bytes(perceptron: tuple[Graph, Array]) -> None:
    assert c.serialize(perceptron[0]) == c.serialize(perceptron[0])
    assert c.serialize(perceptron[0]) != c.serialize(perceptron[0], kernels="xnnpack")


def test_an_input_of_uint8_is_taken_as_it_is(perceptron: tuple[Graph, Array], tmp_path: Path) -> None:
    graph, codes = perceptron
    runner = CRunner(c.write(graph, tmp_path / "net.c", input_dtype="uint8"))
    assert runner.input.dtype == np.uint8
    assert runner.input.zero_point == graph.quantization(graph.input).zero_point + 128
    unsigned = (codes.transpose(0, 2, 3, 1).astype(np.int16) + 128).astype(np.uint8)
    assert np.array_equal(runner.run(unsigned), reference.run(graph, codes, kernels="tflm"))


def test_a_token_that_is_in_no_table_is_refused_and_nothing_is_read(tmp_path: Path) -> None:
    graph = EXAMPLES[ops.Embedding]
    _, int8, (tokens,) = quantized(graph, *shapes(graph), kernels="tflm")
    runner = CRunner(c.write(int8, tmp_path / "net.c"))
    assert runner.run(tokens).shape[0] == len(tokens)
    for token in (-1, int(tokens.max()) + 1000):
        other = tokens[:1].copy()
        other[0, -1] = token
        with pytest.raises(ModelError, match="refuses its input with 1"):
            runner.run(other)


class Library:
    """A compiled C file that tests call as firmware does."""

    def __init__(self, file: Path) -> None:
        compile_strictly([file], file.with_suffix(".so"), ["-O2", "-shared", "-fPIC"])
        self.macros, self.functions = read_macros(file), ctypes.CDLL(str(file.with_suffix(".so")))
        self.invoke = self.functions.net_invoke
        self.invoke.argtypes = [ctypes.c_void_p]
        for accessor in (self.functions.net_input, self.functions.net_output):
            accessor.argtypes, accessor.restype = [ctypes.c_void_p, ctypes.c_int], ctypes.c_void_p
        self.bytes = int(self.macros["ARENA_BYTES"])

    def arena(self) -> np.ndarray:
        """Return an aligned arena with a guard on either side, filled with 0xA5."""
        memory = np.full(self.bytes + 2 * GUARD + 16, 0xA5, np.uint8)
        start = -memory.ctypes.data % 16
        return memory[start : start + self.bytes + 2 * GUARD]

    def write(self, arena: np.ndarray, sample: np.ndarray) -> None:
        ctypes.memmove(self.functions.net_input(arena.ctypes.data + GUARD, 0), sample.tobytes(), sample.nbytes)

    def run(self, arena: np.ndarray) -> int:
        return int(self.invoke(arena.ctypes.data + GUARD))

    def read(self, arena: np.ndarray, count: int) -> np.ndarray:
        address = self.functions.net_output(arena.ctypes.data + GUARD, 0)
        return np.frombuffer(ctypes.string_at(address, count), np.int8)


@pytest.fixture(scope="module")
def library(perceptron: tuple[Graph, Array], tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(c.write(perceptron[0], tmp_path_factory.mktemp("c") / "net.c"))


def test_nothing_outside_the_arena_is_written(library: Library, perceptron: tuple[Graph, Array]) -> None:
    arena = library.arena()
    library.write(arena, perceptron[1][0].transpose(1, 2, 0))
    assert library.run(arena) == 0
    assert (arena[:GUARD] == 0xA5).all() and (arena[GUARD + library.bytes :] == 0xA5).all()


def test_arenas_are_independent_of_one_another(library: Library, perceptron: tuple[Graph, Array]) -> None:
    """Run an inference in each arena in parallel threads: no state is outside the arena."""
    graph, codes = perceptron
    expected = reference.run(graph, codes, kernels="tflm")
    arenas = [library.arena() for _ in codes]
    for arena, sample in zip(arenas, codes, strict=True):
        library.write(arena, sample.transpose(1, 2, 0))
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(library.run, arenas)) == {0}
    answers = [library.read(arena, expected[0].size) for arena in arenas]
    assert np.array_equal(answers, expected)


def test_an_arena_that_is_null_or_not_aligned_is_refused(library: Library) -> None:
    assert library.invoke(None) == 2
    assert library.invoke(library.arena().ctypes.data + 1) == 2


def test_there_is_no_pointer_to_an_input_that_is_not_there(library: Library) -> None:
    address = library.arena().ctypes.data
    for accessor in (library.functions.net_input, library.functions.net_output):
        assert accessor(address, 0)
        assert accessor(address, 1) is accessor(address, -1) is None


def test_tokens_are_int32_and_inputs_of_different_types_come_as_void_pointers(tmp_path: Path) -> None:
    graph = EXAMPLES[ops.Embedding]
    _, tokens, _ = quantized(graph, *shapes(graph), kernels="tflm")
    c.write(tokens, tmp_path / "net.c")
    assert "\nint32_t *net_input(void *arena, int index);" in (tmp_path / "net.h").read_text()
    names = ("layer", "offset", "sum")
    tensors = graph.tensors | {name: Tensor(name, (5, 6)) for name in names}
    both = Graph(("input_0", "offset"), ("sum",), tensors, (*graph.operators, ops.Add("sum", names[:2], "sum")))
    _, int8, codes = quantized(both, *shapes(both), kernels="tflm")
    (answer,) = run_strictly(int8, codes, "tflm", tmp_path)
    assert np.array_equal(answer, reference.run(int8, *codes, kernels="tflm"))
    assert "\nvoid *net_input(void *arena, int index);" in (tmp_path / "net.h").read_text()

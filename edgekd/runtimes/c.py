"""Runs for verification a C file and its header in this process, compiled by this machine's C compiler."""

import ctypes
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import MissingExtraError, ModelError
from edgekd.runtimes.tensors import TensorInfo, check_batches, check_file

FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared")
DTYPES = {"int8_t": np.int8, "uint8_t": np.uint8, "int32_t": np.int32}


class CRunner:
    """A compiled and loaded C file.

    Attributes:
        inputs, outputs: name, shape, dtype, quantization and order of axes of the file's inputs and outputs.
        input, output: the first input and output.
        kernels: the name of the kernel set, with the compiler.
        arena_bytes: the size of the arena for activations.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Compile and load a file; `threads` is ignored, since the C code has one thread."""
        self.path = Path(path)
        name, macros = self.path.stem, read_macros(self.path)
        self.inputs, self.outputs = (tensors(macros, role) for role in ("INPUT", "OUTPUT"))
        self.input, self.output = self.inputs[0], self.outputs[0]
        self.arena_bytes = int(macros["ARENA_BYTES"])
        command = compiler()
        self._library = _compile(self.path, command)
        self._arena, address = _aligned_bytes(self.arena_bytes, int(macros["ARENA_ALIGNMENT"]))
        self._address = ctypes.c_void_p(address)
        self._invoke = getattr(self._library, f"{name}_invoke")
        self._inputs = [self._array(f"{name}_input", i, info) for i, info in enumerate(self.inputs)]
        self._outputs = [self._array(f"{name}_output", i, info) for i, info in enumerate(self.outputs)]
        self.kernels = f"C99 by {_version(command)}, 1 thread"

    def run(self, *x: np.ndarray) -> np.ndarray:
        """Run the file on (N, ...) of every input, in its dtype and order; return (N, ...) of the first output."""
        return self.run_all(*x)[0]

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run the file on (N, ...) of every input, sample by sample; return (N, ...) of every output."""
        check_batches(x, self.inputs, self.path)
        results = tuple(np.empty((len(x[0]), *output.shape), output.dtype) for output in self.outputs)
        for position in range(len(x[0])):
            self.ready(*(values[position : position + 1] for values in x))()
            for result, output in zip(results, self._outputs, strict=True):
                result[position] = output
        return results

    def ready(self, *x: np.ndarray) -> Callable[[], object]:
        """Return a function that runs one inference of `x`, (1, ...) for each input, and nothing else, for timing."""
        check_batches(x, self.inputs, self.path)
        for values, array in zip(x, self._inputs, strict=True):
            array[...] = values[0]
        return self._run

    def _run(self) -> None:
        if (status := self._invoke(self._address)) != 0:
            raise ModelError(
                f"{self.path.name} refuses its input with {status}", f"{self.path.stem}.h, which says what that means"
            )

    def _array(self, function: str, index: int, info: TensorInfo) -> np.ndarray:
        """Return the part of the arena to which an accessor function of the file points."""
        accessor = getattr(self._library, function)
        accessor.restype = ctypes.c_void_p
        start = accessor(self._address, index) - (self._address.value or 0)
        size = int(np.prod(info.shape, dtype=np.int64)) * info.dtype.itemsize
        return self._arena[start : start + size].view(info.dtype).reshape(info.shape)


def compiler() -> list[str]:
    """Return the command of the C compiler: the environment variable CC, or `cc`.

    Raises:
        MissingExtraError: no C compiler is installed.
    """
    command = shlex.split(os.environ.get("CC") or "cc")
    if shutil.which(command[0]) is None:
        raise MissingExtraError(
            f"running C on this host needs a C compiler, and there is no {command[0]!r}",
            "apt-get install gcc, or CC=the path of a compiler",
        )
    return command


def _compile(path: Path, command: list[str]) -> ctypes.CDLL:
    """Compile the file and load it as a shared library, whose folder is removed with the returned object."""
    folder = tempfile.mkdtemp(prefix="edgekd-c-")
    target = Path(folder) / f"{path.stem}.so"
    arguments = [*command, *FLAGS, str(path), "-o", str(target)]
    process = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if process.returncode:
        shutil.rmtree(folder)
        message = next((line for line in process.stderr.splitlines() if "error" in line), process.stderr.strip())
        raise ModelError(f"{path.name} can't be compiled: {message}", "edgekd build, which writes the file anew")
    library = ctypes.CDLL(str(target))
    weakref.finalize(library, shutil.rmtree, folder, ignore_errors=True)
    return library


def read_macros(path: Path) -> dict[str, str]:
    """Read the macros of the header beside a C file, keyed by their names without the prefix of the file's name."""
    header = path.with_suffix(".h")
    for file in (path, header):
        check_file(file)
    lines = re.findall(rf"^#define {path.stem.upper()}_(\w+) (.+)$", header.read_text(encoding="ascii"), re.MULTILINE)
    return dict(lines)


def tensors(macros: dict[str, str], role: str) -> tuple[TensorInfo, ...]:
    """Return the description of the inputs or outputs in the header's macros; `role` is "INPUT" or "OUTPUT"."""
    return tuple(_tensor(macros, f"{role}_{i}", f"{role.lower()}_{i}") for i in range(int(macros[f"{role}S"])))


def _tensor(macros: dict[str, str], prefix: str, name: str) -> TensorInfo:
    scale, zero_point = macros.get(f"{prefix}_SCALE"), macros.get(f"{prefix}_ZERO_POINT")
    return TensorInfo(
        name=name,
        shape=_numbers(macros[f"{prefix}_SHAPE"]),
        dtype=np.dtype(DTYPES[macros[f"{prefix}_TYPE"]]),
        scale=float(scale.rstrip("f")) if scale else None,
        zero_point=int(zero_point.strip("()")) if zero_point else None,
        axes=_numbers(macros[f"{prefix}_AXES"]),
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _aligned_bytes(size: int, alignment: int) -> tuple[np.ndarray, int]:
    """Return `size` zeroed bytes, of which the first is aligned, and its address."""
    padded: np.ndarray[Any, np.dtype[np.uint8]] = np.zeros(size + alignment, np.uint8)
    start = -padded.ctypes.data % alignment
    arena = padded[start : start + size]
    return arena, arena.ctypes.data


def _version(command: list[str]) -> str:
    """Return the first line of the compiler's version."""
    process = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return process.stdout.partition("\n")[0].strip() or command[0]

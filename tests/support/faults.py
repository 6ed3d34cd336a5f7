"""Faulty inputs of a user, written to the working folder: data sets, checkpoints and modules.

A `Fault` is a function that creates the faulty input when it is called, so that tables can hold it.
"""

import gzip
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Fault = Callable[[], None]

TINY = """\
profile = { rounds = 1, seconds = 0.02 }
limits.score_drop = 100
teacher = { model = "mlp", hidden = [16], epochs = 1 }
student = { model = "mlp", hidden = [16] }
distill = { epochs = 1, baseline = false }
prune = { steps = 1, epochs = 1 }
quantize = { epochs = 1 }
[data]
limit = 100
"""
"""A build on the digits that takes a few seconds, most of them for imports."""


def nothing() -> None:
    """Leave the working folder as it is, with edgekd.toml, store and files of a finished build."""


def file(name: str, content: str | bytes) -> Fault:
    def write() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def both(*faults: Fault) -> Fault:
    def all_of_them() -> None:
        for fault in faults:
            fault()

    return all_of_them


def idx(**changes: bytes | None) -> Fault:
    """Write a data set of the MNIST family to `idx/`; `changes` replace a part's bytes, None leaves the part out."""
    y = np.arange(40, dtype=np.uint8) % 2
    parts: dict[str, bytes | None] = {
        f"{part}_{what}": gzip.compress(content)
        for part in ("train", "t10k")
        for what, content in (
            ("images_idx3", b"\0\0\x08\3" + np.array([40, 8, 8], ">u4").tobytes() + bytes(40 * 64)),
            ("labels_idx1", b"\0\0\x08\1" + np.array([40], ">u4").tobytes() + y.tobytes()),
        )
    }

    def write() -> None:
        Path("idx").mkdir()
        for name, content in {**parts, **changes}.items():
            if content is not None:
                (Path("idx") / f"{name.replace('_', '-')}-ubyte.gz").write_bytes(content)

    return write


LABELS = np.arange(40) % 2


def npz(**changes: Any) -> Fault:
    """Write `set.npz` with 40 training and 40 test images; `changes` replace an array, None leaves it out."""
    x = np.random.default_rng(0).integers(0, 255, (2, 40, 1, 8, 8)).astype(np.uint8)
    arrays = {"x_train": x[0], "y_train": LABELS, "x_test": x[1], "y_test": LABELS, **changes}
    return lambda: np.savez("set.npz", **{name: array for name, array in arrays.items() if array is not None})


def with_nan() -> np.ndarray:
    x = np.zeros((40, 1, 8, 8), np.float32)
    x[7, 0, 0, 0] = np.nan
    return x


def module(source: str) -> Fault:
    """Write `mine.py`, a user's own module."""
    head = "import numpy as np\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n"
    return file("mine.py", head + source)


def net(body: str, init: str = "pass") -> Fault:
    """Write `mine.py` with a user's own model `Net`."""
    return module(
        "class Net(nn.Module):\n"
        "    def __init__(self, classes=10):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(64, classes)\n"
        f"        {init}\n\n"
        "    def forward(self, x):\n"
        f"        {body}\n"
    )


def weights(change: Callable[[dict[str, Any]], Any]) -> Fault:
    """Write `teacher.pt` with the changed weights of TINY's teacher."""

    def write() -> None:
        import torch

        tensors = torch.load(next(Path(".edgekd/teacher").glob("*/model/weights.pt")), weights_only=True)
        torch.save(change(tensors), "teacher.pt")

    return write


def without_head(tensors: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tensors.items() if not key.startswith("layers.3")}


def with_nan_weight(tensors: dict[str, Any]) -> dict[str, Any]:
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    return tensors


def truncated_checkpoint() -> None:
    weights(lambda tensors: tensors)()
    Path("teacher.pt").write_bytes(Path("teacher.pt").read_bytes()[:-2000])


def cifar10_cut_short() -> None:
    Path("pics").mkdir()
    Path("pics/batches.meta.txt").write_text("cat\ndog\n")
    Path("pics/data_batch_1.bin").write_bytes(bytes(3073 + 1000))


def no_image() -> None:
    """Write a folder of images that are text files."""
    for name in ("train/cat", "train/dog", "test/cat", "test/dog"):
        Path("pics", name).mkdir(parents=True)
        Path("pics", name, "1.png").write_text("no picture")


def no_pillow() -> None:
    """Make the import of PIL fail, as if it were not installed."""
    sys.modules["PIL"] = None  # type: ignore[assignment]


class Trap:
    """An object that writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch SPRUNG",)


def trapped_checkpoint() -> None:
    import torch

    torch.save({"state_dict": Trap()}, "teacher.pt")


def trapped_pickle() -> None:
    """Write a bare pickle, the format of torch before its archives."""
    Path("teacher.pt").write_bytes(pickle.dumps(Trap(), protocol=2))


def damage(pattern: str, content: bytes) -> Fault:
    """Overwrite a finished file in the store or in the output folder."""

    def write() -> None:
        files = sorted(Path().glob(pattern))
        assert files, pattern
        files[0].write_bytes(content)

    return write


def spaced_store() -> None:
    shutil.copytree(".edgekd", "my store")


def flip_a_weight() -> None:
    """Flip one bit of the largest tensor in the delivered TFLite file."""
    path = Path("build/rpi4/model.tflite")
    content = bytearray(path.read_bytes())
    with np.load(next(Path(".edgekd/quantize").glob("*/graph/graph.npz"))) as graph:
        largest = max((array for array in graph.values() if array.dtype == np.int8), key=lambda array: array.size)
    content[content.index(largest.tobytes()) + largest.size // 2] ^= 0x40
    path.write_bytes(content)


def mounted(name: str, options: str) -> Fault:
    """Mount a small file system at `name`; the test is skipped if that is not permitted."""

    def mount() -> None:
        Path(name).mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "none", name]
        try:
            process = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount on this machine")
        if process.returncode:
            pytest.skip(f"a tmpfs can't be mounted here: {process.stderr.strip()}")

    return mount


def unmount(name: str) -> None:
    if Path(name).is_mount():
        subprocess.run(["umount", name], check=True)

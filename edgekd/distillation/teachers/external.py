"""A teacher that is no torch module: a file or a function, asked in NumPy, whose answers are checked before use."""

import math
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from edgekd import catalog
from edgekd.config import Source
from edgekd.data.batches import Batch, batches
from edgekd.data.splits import Splits
from edgekd.distillation.run import Teacher
from edgekd.distillation.teachers.layout import Run
from edgekd.errors import ConfigError, ModelError
from edgekd.nn.outputs import Outputs

Gives = Literal["logits", "probabilities"]
Takes = Literal["normalised", "raw"]

FILES = (".onnx", ".tflite", ".keras")


def external_teacher(run: Run, splits: Splits, gives: Gives, takes: Takes, who: str) -> Teacher:
    """A function of inputs in NumPy as a teacher; what it gives becomes answers as the task has them."""

    def ask(batch: Batch) -> Outputs:
        x = raw(batch.x, splits) if takes == "raw" else batch.x
        try:
            result = run(x.cpu().numpy())
        except ModelError:
            raise
        except Exception as error:  # a user's function, or a runtime's own kind of refusal
            first_line = (str(error).splitlines() or [""])[0]
            raise ModelError(
                f"{who} failed on inputs of shape {tuple(x.shape)}: {type(error).__name__}: {first_line}",
                "try it alone on such an array, float32",
            ) from error
        answers = check_answers(np.asarray(result), len(batch.y), splits, gives, who)
        return Outputs(torch.from_numpy(answers).to(batch.x.device), index=batch.index)

    return ask


def raw(x: Tensor, splits: Splits) -> Tensor:
    """Normalised inputs as the data set has them: (x * std + mean) / scale; pixels are whole numbers again."""
    if splits.vocabulary:
        return x
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device).reshape(shape) for v in (splits.mean, splits.std))
    found = (x * std + mean) / splits.scale
    return found.round() if splits.train.x.dtype == np.uint8 else found


def check_answers(numbers: np.ndarray, samples: int, splits: Splits, gives: str, who: str) -> np.ndarray:
    """Answers (N, *answer shape), float32, of what came from outside; axes of 1 behind them are dropped.

    Raises:
        ModelError: they are of another shape, not finite, or not what `gives` says.
    """
    answers, expected = splits.task.answers, (samples, *splits.answer_shape)
    if numbers.size == math.prod(expected) and numbers.shape[: len(expected)] == expected:
        numbers = numbers.reshape(expected)
    if numbers.shape != expected:
        form = answers.form(splits.answer_shape)
        raise ModelError(
            f"{who} gives {numbers.shape} for {samples} samples; the data has {form} and asks for {expected}",
            f"a teacher for the data's {form}",
        )
    if not np.issubdtype(numbers.dtype, np.number) or not np.isfinite(numbers).all():
        raise ModelError(f"{who} gives outputs that are not finite numbers", "mind what it is given: teacher.input")
    return answers.read(numbers, gives, who)


def open_file(path: Path, splits: Splits, *, raw: bool) -> Run:
    """The function behind a file; ModelError where it can't be read or does not fit the data."""
    kind = check_file(path)
    if kind == ".onnx":
        from edgekd.distillation.teachers.onnx_file import open_onnx

        return open_onnx(path, splits, raw=raw)
    if kind == ".tflite":
        from edgekd.distillation.teachers.tflite_file import open_tflite

        return open_tflite(path, splits, raw=raw)
    from edgekd.distillation.teachers.keras_file import open_keras

    return open_keras(path, splits, raw=raw)


def check_file(path: Path) -> str:
    """The kind of a teacher's file, by its suffix; ConfigError for another, MissingExtraError without its runtime."""
    if path.suffix not in FILES and not path.is_dir():
        raise ConfigError(
            f"teacher.file: {path.name} is none of {', '.join(FILES)} or the folder of a SavedModel",
            "teacher.checkpoint, for weights of torch; teacher.answers, for stored outputs; teacher.call, for code",
        )
    if path.suffix == ".keras" or path.is_dir():
        from edgekd.distillation.teachers.keras_file import require

        require(path)
    return path.suffix


def call_of(name: str) -> Run:
    """The user's function."""
    found = catalog.load("teacher", name)
    if not callable(found):
        raise ConfigError(f"teacher.call: {name!r} is no function, but a {type(found).__name__}", "name a function")
    return found  # type: ignore[no-any-return]


def copy(path: Path, folder: Path) -> Path:
    """The file or the SavedModel's folder in `folder`, so that an artifact does not depend on where it came from."""
    folder.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, folder / path.name)
    return folder / path.name


def open_external(source: Source, splits: Splits) -> Teacher:
    """The teacher behind `teacher.file` or `teacher.call`."""
    if source.call is not None:
        return external_teacher(call_of(source.call), splits, source.gives, source.input, f"teacher.call {source.call}")
    assert source.file is not None
    run = open_file(source.file, splits, raw=source.input == "raw")
    return external_teacher(run, splits, source.gives, source.input, f"teacher.file {source.file.name}")


def try_out(source: Source, splits: Splits) -> None:
    """Ask it about two training samples: ModelError where it can't answer, or answers for other classes."""
    open_external(source, splits)(next(batches(splits.train, splits, 2)))

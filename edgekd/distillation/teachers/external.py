"""A teacher that is no torch module: a file or a function of NumPy arrays, whose answers are checked before use."""

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
    """Return a teacher that runs a function of NumPy arrays and converts its outputs to the task's kind of answers.

    Args:
        gives: what the function returns.
        takes: whether the function takes normalised inputs or those of the data set.
        who: how errors call the teacher.
    """

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
    """Undo the normalisation, (x * std + mean) / scale, and round pixels to whole numbers again."""
    if splits.vocabulary:
        return x
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device).reshape(shape) for v in (splits.mean, splits.std))
    values = (x * std + mean) / splits.scale
    return values.round() if splits.train.x.dtype == np.uint8 else values


def check_answers(numbers: np.ndarray, samples: int, splits: Splits, gives: str, who: str) -> np.ndarray:
    """Convert the outputs of an external teacher to answers (N, *answer shape), float32, without trailing axes of 1.

    Raises:
        ModelError: the outputs have another shape, are not finite, or are not of the kind that `gives` states.
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
    """Return the network in a file as a function; ModelError where it can't be read or does not fit the data."""
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
    """Return the suffix of a teacher's file.

    Raises:
        ConfigError: the file is of another kind.
        MissingExtraError: the runtime of its kind is not installed.
    """
    if path.suffix not in FILES and not path.is_dir():
        raise ConfigError(
            f"teacher.file: {path.name} is none of {', '.join(FILES)} or the folder of a SavedModel",
            "teacher.checkpoint, for weights of torch; teacher.answers, for stored outputs; teacher.call, for code",
        )
    if path.suffix == ".keras" or path.is_dir():
        from edgekd.distillation.teachers.keras_file import require

        require(path)
    return path.suffix


def load_function(name: str) -> Run:
    """Return the user's function, "package.module:name"; ConfigError where it is no function."""
    function = catalog.load("teacher", name)
    if not callable(function):
        raise ConfigError(f"teacher.call: {name!r} is no function, but a {type(function).__name__}", "name a function")
    return function  # type: ignore[no-any-return]


def copy(path: Path, folder: Path) -> Path:
    """Copy a file, or a SavedModel's folder, into `folder`, so that the artifact does not depend on the original."""
    folder.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, folder / path.name)
    return folder / path.name


def open_external(source: Source, splits: Splits) -> Teacher:
    """Return the teacher that `teacher.file` or `teacher.call` names."""
    if source.call is not None:
        return external_teacher(
            load_function(source.call), splits, source.gives, source.input, f"teacher.call {source.call}"
        )
    assert source.file is not None
    run = open_file(source.file, splits, raw=source.input == "raw")
    return external_teacher(run, splits, source.gives, source.input, f"teacher.file {source.file.name}")


def try_out(source: Source, splits: Splits) -> None:
    """Run the teacher on two training samples; ModelError where it fails, or answers for other classes."""
    open_external(source, splits)(next(batches(splits.train, splits, 2)))

"""A teacher in a .keras file or in the folder of a SavedModel, run by TensorFlow, which is an extra of edgekd."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.splits import Splits
from edgekd.distillation.teachers.layout import Run, axes_for, in_batches, to_file_axes, unreadable
from edgekd.errors import MissingExtraError, ModelError


def require(path: Path) -> None:
    """Raise MissingExtraError where TensorFlow is not installed."""
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError(
            f"teacher.file: {path.name} needs TensorFlow, which is not installed", "pip install 'edgekd[tensorflow]'"
        )


def open_keras(path: Path, splits: Splits, *, raw: bool) -> Run:
    """Return the network as a function of inputs (N, *input shape) in torch's order.

    Args:
        raw: unused here: the caller converts the inputs.
    """
    require(path)
    import tensorflow as tf

    try:
        if path.is_dir():
            run, shape, dtype = _saved_model(tf, path)
        else:
            model = tf.keras.models.load_model(path, compile=False)  # in Keras' safe mode: no pickled code is run
            run, shape = (lambda x: model(x, training=False).numpy()), tuple(model.input_shape)
            dtype = np.dtype(model.inputs[0].dtype)
    except Exception as error:  # Keras and TensorFlow raise many kinds, without a parent of their own
        raise unreadable(path, "Keras or SavedModel", error, "save it again: model.save('teacher.keras')") from error
    axes = axes_for(shape[1:], splits.input_shape, path.name, channels_last=True)

    def ask(x: np.ndarray) -> np.ndarray:
        return np.asarray(in_batches(to_file_axes(x, axes).astype(dtype), shape[0], run), np.float32)

    return ask


def _saved_model(tf: Any, path: Path) -> tuple[Run, tuple[int | None, ...], np.dtype]:
    model = tf.saved_model.load(str(path))
    signature = model.signatures["serving_default"]
    (name, specification), *more = signature.structured_input_signature[1].items()
    if more:
        raise ModelError(f"{path.name} takes several tensors; a teacher takes one", "wrap it: teacher.call")
    output = sorted(signature.structured_outputs)[0]

    def run(x: np.ndarray) -> np.ndarray:
        _ = model  # its variables live as long as it does
        return np.asarray(signature(**{name: tf.constant(x)})[output])

    return run, tuple(specification.shape), np.dtype(specification.dtype.as_numpy_dtype)

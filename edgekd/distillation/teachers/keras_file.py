"""A teacher in a .keras file or in the folder of a SavedModel, run by TensorFlow, which is an extra of edgekd."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.splits import Splits
from edgekd.distillation.teachers.layout import Run, arranged, axes_for, in_batches, unreadable
from edgekd.errors import MissingExtraError, ModelError


def require(path: Path) -> None:
    """MissingExtraError where TensorFlow is not installed."""
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError(
            f"teacher.file: {path.name} needs TensorFlow, which is not installed", "pip install 'edgekd[tensorflow]'"
        )


def open_keras(path: Path, splits: Splits, *, raw: bool) -> Run:
    """The network as a function of inputs (N, *input shape) in torch's order; `raw` is the caller's affair."""
    require(path)
    import tensorflow as tf

    try:
        if path.is_dir():
            run, shape, dtype = _saved_model(tf, path)
        else:
            model = tf.keras.models.load_model(path, compile=False)  # in Keras' safe mode: no pickled code is run
            run, shape = (lambda x: model(x, training=False).numpy()), tuple(model.input_shape)
            dtype = np.dtype(model.inputs[0].dtype)
    except Exception as error:  # Keras and TensorFlow raise what they like
        raise unreadable(path, "Keras or SavedModel", error, "save it again: model.save('teacher.keras')") from error
    axes = axes_for(shape[1:], splits.input_shape, path.name, channels_last=True)

    def ask(x: np.ndarray) -> np.ndarray:
        return np.asarray(in_batches(arranged(x, axes).astype(dtype), shape[0], run), np.float32)

    return ask


def _saved_model(tf: Any, path: Path) -> tuple[Run, tuple[int | None, ...], np.dtype]:
    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    (name, taken), *more = signature.structured_input_signature[1].items()
    if more:
        raise ModelError(f"{path.name} takes several tensors; a teacher takes one", "wrap it: teacher.call")
    output = sorted(signature.structured_outputs)[0]

    def run(x: np.ndarray) -> np.ndarray:
        _ = loaded  # its variables live as long as it does
        return np.asarray(signature(**{name: tf.constant(x)})[output])

    return run, tuple(taken.shape), np.dtype(taken.dtype.as_numpy_dtype)

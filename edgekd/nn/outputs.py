"""A network's outputs, in the form that losses and teachers use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from edgekd.data.batches import batches
from edgekd.data.splits import Splits
from edgekd.errors import ModelError


@dataclass
class Outputs:
    """Attributes:
    logits: the network's answers, (N, *answer shape), float32: logits (N, classes) in classification.
    features: name of a layer -> its output, (N, ...), float32, for the layers that a loss compares.
    index: the samples' positions in the training split, (N,), int64; None where they are no training samples.
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    index: Tensor | None = None


def answer(model: nn.Module, x: Tensor, layers: Sequence[str] = (), index: Tensor | None = None) -> Outputs:
    """Run `model` on x (N, ...); outputs are float32 even under mixed precision, so that losses stay exact.

    Args:
        layers: names of the modules whose outputs become features.
        index: the samples' positions in the training split, which the outputs hold.

    Raises:
        ModelError: the model returns neither a tensor nor `Outputs`.
    """
    with _record_outputs(model, layers) as outputs:
        result = model(x)
    features = {name: value.float() for name, value in outputs.items()}
    if isinstance(result, Outputs):
        return Outputs(result.logits.float(), {**result.features, **features}, index)
    if isinstance(result, Tensor):
        return Outputs(result.float(), features, index)
    raise ModelError(
        f"{type(model).__name__} returns a {type(result).__name__}, not logits of shape (N, classes)",
        "let its forward return the logits alone",
    )


def check_answer(model: nn.Module, splits: Splits, who: str) -> None:
    """Run two training samples; ModelError where the answers are not finite or have another shape than the task's.

    Args:
        who: how errors call the model, such as "teacher resnet20".
    """
    was_training = model.training
    model.eval()
    batch = next(batches(splits.train, splits, 2))
    shape = tuple(batch.x.shape[1:])
    try:
        with torch.no_grad():
            logits = answer(model, batch.x).logits
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        first_line = str(error).partition("\n")[0]
        raise ModelError(
            f"{who} can't take the data's inputs of shape {shape}: {type(error).__name__}: {first_line}",
            "choose a model for such inputs, or mind its options",
        ) from error
    model.train(was_training)
    answers, expected = splits.task.answers, (len(batch.y), *splits.answer_shape)
    if tuple(logits.shape) != expected:
        raise ModelError(
            f"{who} gives {answers.kind} of shape {tuple(logits.shape)}; the data has "
            f"{answers.form(splits.answer_shape)} and asks for {expected}",
            f"give it the option classes = {expected[1]}",
        )
    if not torch.isfinite(logits).all():
        what = f"{who} gives {answers.kind} that are not finite"
        raise ModelError(what, "mind its weights, and data.mean and data.std")


def tensor_of(result: object) -> Tensor | None:
    """Return a module's output tensor, or the first of several (as of attention and recurrent layers), or None."""
    if isinstance(result, tuple) and result:
        result = result[0]
    return result if isinstance(result, Tensor) else None


@contextmanager
def _record_outputs(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of layers by hooks that exist for one run alone, so that networks can be copied and saved."""
    outputs: dict[str, Tensor] = {}

    def add_hook(name: str) -> RemovableHandle:
        def hook(module: nn.Module, inputs: object, result: object) -> None:
            value = tensor_of(result)
            if value is not None:
                outputs[name] = value

        return model.get_submodule(name).register_forward_hook(hook)

    hooks = [add_hook(name) for name in layers]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()

"""What a network answers, as every loss and teacher sees it."""

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
    logits: what the network answers, (N, *answer shape), float32: logits (N, classes) in classification.
    features: layer's name -> its output, (N, ...), float32; those that a loss asked for.
    index: the samples' positions in the training split, (N,), int64; None where they are no training samples.
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    index: Tensor | None = None


def answer(model: nn.Module, x: Tensor, layers: Sequence[str] = (), index: Tensor | None = None) -> Outputs:
    """Run `model` on x (N, ...). Answers come back in float32 under mixed precision too, so that losses stay exact.

    Args:
        layers: modules whose outputs are wanted as features, by name.
        index: the samples' positions in the training split, to be handed on.
    """
    with _watched(model, layers) as watched:
        result = model(x)
    features = {name: value.float() for name, value in watched.items()}
    if isinstance(result, Outputs):
        return Outputs(result.logits.float(), {**result.features, **features}, index)
    if isinstance(result, Tensor):
        return Outputs(result.float(), features, index)
    raise ModelError(
        f"{type(model).__name__} returns a {type(result).__name__}, not logits of shape (N, classes)",
        "let its forward return the logits alone",
    )


def check_answer(model: nn.Module, splits: Splits, who: str) -> None:
    """Run two training samples through: ModelError unless (2, *answer shape) finite answers come back.

    Args:
        who: how errors call the model, "teacher resnet20" say.
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
    """The tensor that a module gave, alone or first of several (as attention layers and recurrent ones give it)."""
    if isinstance(result, tuple) and result:
        result = result[0]
    return result if isinstance(result, Tensor) else None


@contextmanager
def _watched(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Hooks live for one run alone, so that a network can be copied and saved as if nobody had looked inside."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> RemovableHandle:
        def hook(module: nn.Module, inputs: object, result: object) -> None:
            value = tensor_of(result)
            if value is not None:
                outputs[name] = value

        return model.get_submodule(name).register_forward_hook(hook)

    hooks = [keep(name) for name in layers]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()

"""Evaluates networks: their answers to a split, and the scores of these answers."""

import numpy as np
import torch
from torch import nn

from edgekd.data.batches import batches
from edgekd.data.splits import Split, Splits
from edgekd.errors import TrainingError
from edgekd.nn.outputs import answer
from edgekd.training.progress import progress


def answers_of(
    model: nn.Module,
    split: Split,
    splits: Splits,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
    title: str = "evaluating",
) -> np.ndarray:
    """Return the model's answers in evaluation mode, (N, *answer shape) float32, in the order of the split."""
    was_training = model.training
    home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    model.to(device).eval()
    parts = []
    with torch.no_grad(), progress(title, len(split)) as advance:
        for batch in batches(split, splits, batch_size, device=device):
            parts.append(answer(model, channels_last(batch.x)).logits.cpu().numpy())
            advance(len(batch.y), "")
    model.to(home).train(was_training)
    return np.concatenate(parts) if parts else np.zeros((0, *splits.answer_shape), np.float32)


def scores(model: nn.Module, splits: Splits, *, device: torch.device | str = "cpu", title: str) -> dict[str, float]:
    """Return the figures that every stage with training reports, in the task's unit: `score` on the test split, its
    standard error `score_error`, and `validation_score`."""
    return scores_and_answers(model, splits, device=device, title=title)[0]


def scores_and_answers(
    model: nn.Module, splits: Splits, *, device: torch.device | str = "cpu", title: str
) -> tuple[dict[str, float], np.ndarray]:
    """Return the result of `scores`, and the answers to the test split, (N, *answer shape).

    Raises:
        TrainingError: answers are not finite.
    """
    results, answers = {}, {}
    for part in ("test", "validation"):
        split: Split = getattr(splits, part)
        answers[part] = answers_of(model, split, splits, device=device, title=f"{title}: {part} set")
        if not np.isfinite(answers[part]).all():  # the last step can make the weights infinite after the last loss
            section = title.partition(":")[0]
            raise TrainingError(
                f"{title}: what was trained gives {splits.task.answers.kind} that are not finite",
                f"a lower {section}.learning_rate, or --set {section}.clip_norm=1",
            )
        results[part] = splits.task.scoring.score(answers[part], split.y)
    test, validation = results["test"], results["validation"]
    return {"score": test.value, "score_error": test.error, "validation_score": validation.value}, answers["test"]


def count_parameters(model: nn.Module) -> int:
    """Count the trainable numbers of a torch model, without batch norm's running statistics."""
    return sum(parameter.numel() for parameter in model.parameters())


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Store images (N, C, H, W) with channels last in memory, where convolutions run up to 3x faster (ResNet-8)."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

"""How good a network is: its logits over a split, and their accuracy."""

import numpy as np
import torch
from torch import nn

from edgekd.data.batches import batches
from edgekd.data.splits import Split, Splits
from edgekd.errors import TrainingError
from edgekd.nn.outputs import answer
from edgekd.training.progress import progress


def logits(
    model: nn.Module,
    split: Split,
    splits: Splits,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
    title: str = "evaluating",
) -> np.ndarray:
    """The model's answers in evaluation mode, (N, classes) float32, in the order of the split."""
    was_training = model.training
    home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    model.to(device).eval()
    parts = []
    with torch.no_grad(), progress(title, len(split)) as advance:
        for batch in batches(split, splits, batch_size, device=device):
            parts.append(answer(model, channels_last(batch.x)).logits.cpu().numpy())
            advance(len(batch.y), "")
    model.to(home).train(was_training)
    return np.concatenate(parts) if parts else np.zeros((0, len(splits.classes)), np.float32)


def accuracy(logits: np.ndarray, y: np.ndarray) -> float:
    """The share of right top-1 answers, in percent."""
    return float(100 * np.mean(logits.argmax(axis=1) == y)) if len(y) else float("nan")


def accuracies(model: nn.Module, splits: Splits, *, device: torch.device | str = "cpu", title: str) -> dict[str, float]:
    """The two figures that every trained stage reports, in percent: on the test and on the validation split."""
    return scores_and_logits(model, splits, device=device, title=title)[0]


def scores_and_logits(
    model: nn.Module, splits: Splits, *, device: torch.device | str = "cpu", title: str
) -> tuple[dict[str, float], np.ndarray]:
    """(`accuracies`, the answers to the test split, (N, classes)); TrainingError where they are not finite."""
    found, answers = {}, {}
    for name, part in (("accuracy", "test"), ("validation_accuracy", "validation")):
        split: Split = getattr(splits, part)
        answers[part] = logits(model, split, splits, device=device, title=f"{title}: {part} set")
        if not np.isfinite(answers[part]).all():  # the very last step can spoil the weights, and no loss shows it
            section = title.partition(":")[0]
            raise TrainingError(
                f"{title}: what was trained gives logits that are not finite",
                f"a lower {section}.learning_rate, or --set {section}.clip_norm=1",
            )
        found[name] = accuracy(answers[part], split.y)
    return found, answers["test"]


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers of a torch model; batch norm's running statistics are none."""
    return sum(parameter.numel() for parameter in model.parameters())


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) with channels last in memory: convolutions run up to 3x faster so (FACTS: ResNet-8)."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

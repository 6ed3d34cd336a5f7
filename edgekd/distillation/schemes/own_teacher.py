"""Self-distillation: the deepest layers of a student are the teacher of classifiers with attention at its intermediate
depths (Zhang et al., 2019, arXiv:1905.08094; SCAN: Zhang et al., 2019, arXiv:1906.03951)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.data.batches import Batch
from edgekd.distillation.run import DistillationRun, student_loss, train_module, without_teacher
from edgekd.errors import ConfigError, nearest
from edgekd.nn.layers import Layer, stages, survey
from edgekd.nn.outputs import answer
from edgekd.results import AlongTheWay
from edgekd.tasks.task import Score
from edgekd.training import distributed
from edgekd.training.evaluate import answers_of
from edgekd.training.fit import FitResult


def own_teacher(
    run: DistillationRun,
    layers: Sequence[str] | None = None,
    soft: float = 0.3,
    hint: float = 0.03,
    temperature: float = 3.0,
    with_teacher: bool = False,
) -> FitResult:
    """sum over heads of (1 - soft) * loss(head, labels) + soft * T^2 * KL(deepest_T || head_T) + hint * mean
    (F_head - F)^2, beside the deepest classifier's own loss(deepest, labels)

    The three sources of loss of the first paper. Where we differ: hints compare features after pooling; T^2 keeps soft
    gradients on the scale of the others; and the defaults are ours. No gradient flows into what the heads learn from.
    The heads are removed in the end: the student, and whatever is exported, has the layers that it had. The heads'
    scores on the validation split stand in the report.

    Args:
        layers: names of the layers that get a head; by default the last at each resolution, or each repeated block,
            except the deepest.
        soft: share of what a head learns from the deepest classifier, in [0, 1].
        hint: weight of the distance to the deepest features.
        temperature: softens what is compared.
        with_teacher: the deepest classifier learns from the teacher by `distill.losses`, in place of labels alone.
    """
    if not 0 <= soft <= 1 or hint < 0 or temperature <= 0:
        raise ConfigError(
            f"scheme 'self': soft = {soft} must be in [0, 1], hint = {hint} not below 0, "
            f"and temperature = {temperature} above 0",
            'distill.scheme = {name = "self", soft = 0.3, hint = 0.03, temperature = 3}',
        )
    run.require("logits", "self")
    *shallow, deepest = _depths(run, layers)
    names = [layer.name for layer in shallow]
    channels_first = any(isinstance(module, nn.Conv1d) for module in run.student.modules())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        width = deepest.shape[0] if len(deepest.shape) == 3 or channels_first else deepest.shape[-1]
        heads = nn.ModuleList([Head(layer.shape, width, len(run.splits.classes), channels_first) for layer in shallow])
    head_run = run if with_teacher else without_teacher(run)
    feature_run = replace(head_run, layers=(*head_run.layers, *names, deepest.name))
    parts: dict[str, nn.Module] = {"student": run.student, "heads": heads}
    modules = nn.ModuleDict(parts if head_run.loss is None else {**parts, "loss": head_run.loss})
    result = train_module(head_run, modules, partial(_step, feature_run, channels_first, soft, hint, temperature))
    evaluate = partial(_head_scores, run, names, heads, result.device)
    source, quantity = f"{len(run.splits.validation):,} validation samples", run.splits.task.quantity
    rows = [
        AlongTheWay(what=f"classifier at {name}", score=quantity(score, source))
        for name, score in zip(names, distributed.from_main(evaluate), strict=True)
    ]
    return replace(result, along_the_way=tuple(rows))


class Head(nn.Module):
    """A shallow classifier: attention to a layer's output, a projection to the deepest features' width, a linear layer.

    Maps (C, H, W) are weighted by a mask from a strided convolution (as in SCAN's attention modules), sequences are
    pooled by learnt weights of their steps, and vectors are gated.

    Args:
        shape: shape of the layer's output for one sample.
        width: width of the deepest features after pooling.
        channels_first: sequences are (C, length), as 1-D convolutions have them; else (length, C).
    """

    def __init__(self, shape: Sequence[int], width: int, classes: int, channels_first: bool) -> None:
        super().__init__()
        self.transposes = channels_first and len(shape) == 2
        channels = shape[-1] if len(shape) < 3 and not self.transposes else shape[0]
        if len(shape) == 3:
            strided = nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False)
            self.attention: nn.Module = nn.Sequential(
                strided, nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1)
            )
        else:
            self.attention = nn.Linear(channels, 1 if len(shape) == 2 else channels)
        self.projection = nn.Sequential(nn.Linear(channels, width), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, classes) and features (N, width) of the layer's output, (N, *shape)."""
        features: Tensor = self.projection(self._attend(x.transpose(1, 2) if self.transposes else x))
        return self.classifier(features).float(), features.float()

    def _attend(self, x: Tensor) -> Tensor:
        """Return x weighted by attention and pooled, (N, C)."""
        weights: Tensor = self.attention(x)
        if x.ndim == 4:
            return (x * F.interpolate(weights, x.shape[2:]).sigmoid()).mean((2, 3))
        if x.ndim == 3:
            return (x * weights.softmax(dim=1)).sum(1)
        return x * weights.sigmoid()


def _step(
    run: DistillationRun, channels_first: bool, soft: float, hint: float, temperature: float,
    module: nn.ModuleDict, batch: Batch,
) -> Tensor:  # fmt: skip
    outputs, total = student_loss(run, module["student"], dict(module.named_children()).get("loss"), batch)
    heads = list(module["heads"].children())
    *shallow, deepest = run.layers[-len(heads) - 1 :]
    label_loss = run.splits.task.answers.label_loss
    target = F.log_softmax(outputs.logits.detach() / temperature, dim=1)
    features = mean_over_positions(outputs.features[deepest].detach(), channels_first)
    for head, layer in zip(heads, shallow, strict=True):
        logits, head_features = head(outputs.features[layer])
        prediction = F.log_softmax(logits / temperature, dim=1)
        total = total + (1 - soft) * label_loss(logits, batch.y)
        total = total + soft * temperature**2 * F.kl_div(prediction, target, log_target=True, reduction="batchmean")
        total = total + hint * F.mse_loss(head_features, features)
    return total


def mean_over_positions(x: Tensor, channels_first: bool) -> Tensor:
    """Average maps (N, C, H, W) or sequences (N, length, C) or (N, C, length) over positions; vectors stay: (N, C)."""
    if x.ndim == 4:
        return x.mean((2, 3))
    return x.mean(2 if channels_first else 1) if x.ndim == 3 else x


def _depths(run: DistillationRun, layer_names: Sequence[str] | None) -> list[Layer]:
    """Return the layers for heads and, as the last, the deepest layer."""
    layers = survey(run.student, run.splits.example)
    summary = list(stages(layers))
    if layer_names is None and len(summary) > 1:
        return summary
    names = ", ".join(layer.name for layer in layers)
    if not layer_names or not summary:
        raise ConfigError(
            "scheme 'self' finds no intermediate depths in this student", f"layers = [...] with some of {names}"
        )
    selection = [layer for layer in layers if layer.name in layer_names]
    for name in layer_names:
        if name not in [layer.name for layer in selection] or name == summary[-1].name:
            guess = nearest(name, [layer.name for layer in layers])
            raise ConfigError(
                f"scheme 'self': the student has no layer {name!r} before its deepest, {summary[-1].name!r}",
                f"{guess!r}" if guess and guess != name else f"layers = [...] with some of {names}",
            )
    return [*selection, summary[-1]]


def _head_scores(run: DistillationRun, names: Sequence[str], heads: nn.ModuleList, device: str) -> list[Score]:
    part, score = run.splits.validation, run.splits.task.scoring.score
    return [
        score(answers_of(_Shallow(run.student, name, head), part, run.splits, device=device), part.y)
        for name, head in zip(names, heads, strict=True)
    ]


class _Shallow(nn.Module):
    """The student up to one layer, and the head at that layer."""

    def __init__(self, student: nn.Module, layer: str, head: nn.Module) -> None:
        super().__init__()
        self.student, self.layer, self.head = student, layer, head

    def forward(self, x: Tensor) -> Tensor:
        shallow: Tensor = self.head(answer(self.student, x, [self.layer]).features[self.layer])[0]
        return shallow

"""Channel groups: the channels of a network that can only be removed together, and the cut that removes them.

Torch-Pruning's dependency graph (Fang et al., DepGraph, 2023) finds them: the filters of a convolution, the batch norm
behind it, the input channels of whatever reads it, and every layer that is tied to it by an addition. Depthwise layers
share their input's channels, so both are cut together.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch_pruning.dependency import Group
from torch_pruning.ops import OPTYPE

from edgekd.errors import ModelError
from edgekd.nn.example import Example, inputs_for
from edgekd.nn.outputs import answer

RESIZABLE = (_ConvNd, nn.Linear, _BatchNorm)
NO_PRUNING = 'prune.criterion = "none"'


@dataclass(frozen=True)
class Part:
    """One layer's share in a group.

    Attributes:
        side: "out" where the layer outputs the group's channels (as batch norm and depthwise layers do too), "in" where
            it reads them.
        index: positions along that side of the layer, (positions,).
        channel: the group's channel that each position belongs to, (positions,).
    """

    layer: nn.Module
    side: Literal["out", "in"]
    index: Tensor
    channel: Tensor

    def per_channel(self, values: Tensor, channels: int) -> Tensor:
        """Sum `values`, shaped like the layer's weight, over each channel of the group: (channels,)."""
        rows = values.movedim(self._dimension, 0).flatten(1).sum(1) if values.ndim > 1 else values
        return torch.zeros(channels, dtype=rows.dtype).index_add_(0, self.channel, rows[self.index])

    @property
    def _dimension(self) -> int:
        transposed = isinstance(self.layer, _ConvNd) and self.layer.transposed and self.layer.groups == 1
        return int((self.side == "in") != transposed)


@dataclass(frozen=True)
class Channels:
    """The groups of a network that can be cut, and notes on those that can't."""

    groups: tuple[Group, ...]
    notes: tuple[str, ...]


def parts(group: Group) -> Iterator[Part]:
    """Yield the convolutions, linear layers and batch norms of a group."""
    for item in group:
        layer = item.dep.target.module
        if isinstance(layer, RESIZABLE):
            yield Part(layer, _side(group, item), torch.tensor(item.idxs), torch.tensor(item.root_idxs))


def width(group: Group) -> int:
    """Return how many channels the group has."""
    return len(group[0].idxs)


def name_of(group: Group) -> str:
    """Return the name of a group, which is that of the layer that its channels come from."""
    return str(group._DG._module2name[group[0].dep.target.module])


def find(model: nn.Module, example: Example) -> Channels:
    """Return every group of `model` whose channels can be cut, without the layer of the network's output.

    A group is also left out, with a note, where Torch-Pruning's description of it is wrong (it treats a channel pad as
    an element-wise operator), or where the cut network would not run.
    """
    groups: list[Group] = []
    notes: list[str] = []
    for group in _trace(model, example):
        if _gives_the_output(group):
            continue
        if obstacle := _obstacle(group):
            notes.append(f"{name_of(group)} and the layers tied to it keep their channels: {obstacle}")
        elif width(group) > 1:
            groups.append(group)
    runs = _runs_after_cutting(model, example, [name_of(group) for group in groups])
    if not runs:
        runs_alone_by_group = [_runs_after_cutting(model, example, [name_of(group)]) for group in groups]
        notes += [
            f"{name_of(group)} and the layers tied to it keep their channels: the network does not run with fewer"
            for group, runs_alone in zip(groups, runs_alone_by_group, strict=True)
            if not runs_alone
        ]
        groups = [group for group, runs_alone in zip(groups, runs_alone_by_group, strict=True) if runs_alone]
    return Channels(tuple(groups), tuple(notes))


def cut(groups: Sequence[Group], remaining: Sequence[Sequence[int]]) -> None:
    """Shrink the network in place to the channels in `remaining`, a list for each group."""
    for group, channels in zip(groups, remaining, strict=True):
        stays = set(channels)
        removal = [channel for channel in range(width(group)) if channel not in stays]
        if removal:
            group.prune(removal, record_history=False)


def cut_copy(model: nn.Module, example: Example, names: Sequence[str], remaining: Sequence[Sequence[int]]) -> nn.Module:
    """Return a smaller copy of `model`, with the `remaining` channels of each group in `names`."""
    smaller = copy.deepcopy(model)
    by_name = {name_of(group): group for group in _trace(smaller, example)}
    cut([by_name[name] for name in names], remaining)
    return smaller


def score(
    group: Group, data: object, criterion: Callable[..., Tensor], options: dict[str, object], title: str
) -> Tensor:
    """Return a criterion's scores of a group, (channels,), float64, on the CPU.

    Raises:
        ModelError: the scores have another shape, or are not finite.
    """
    scores = criterion(group, data, **options)
    where = f"criterion {title!r} on the group of {name_of(group)}"
    if not isinstance(scores, Tensor) or scores.shape != (width(group),):
        shape = f"shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
        raise ModelError(f"{where} gave {shape}, not one score for each of {width(group)} channels", NO_PRUNING)
    if not torch.isfinite(scores).all():
        another = "random" if title == "magnitude" else "magnitude"
        raise ModelError(f"{where} gave a score that is no finite number", f'prune.criterion = "{another}"')
    return scores.detach().to("cpu", torch.float64)


def _trace(model: nn.Module, example: Example) -> list[Group]:
    """Return all groups of Torch-Pruning, in its order; it follows autograd, so parameters must require gradients."""
    flags = {parameter: parameter.requires_grad for parameter in model.parameters()}
    model.eval()
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.requires_grad_(True)
            graph = tp.DependencyGraph()
            graph.build_dependency(
                model,
                inputs_for(model, example, 1),
                forward_fn=lambda network, x: answer(network, x).logits,
                verbose=False,
            )
            return list(graph.get_all_groups(root_module_types=(_ConvNd, nn.Linear)))
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        raise ModelError(
            f"Torch-Pruning can't follow {type(model).__name__}: {type(error).__name__}: {error}", NO_PRUNING
        ) from error
    finally:
        for parameter, requires_grad in flags.items():
            parameter.requires_grad_(requires_grad)


def _side(group: Group, item: tp._helpers.GroupItem) -> Literal["out", "in"]:
    return "out" if group._DG.is_out_channel_pruning_fn(item.dep.handler) else "in"


def _gives_the_output(group: Group) -> bool:
    nodes = (item.dep.target for item in group if _side(group, item) == "out")
    return any(node.type == OPTYPE.OUTPUT or not node.outputs for node in nodes)


def _obstacle(group: Group) -> str | None:
    """Return why a group can't be cut, or None; only a concatenation or a split may divide a layer's channels."""
    divides = any(item.dep.target.type in (OPTYPE.CONCAT, OPTYPE.SPLIT) for item in group)
    for item in group:
        layer = item.dep.target.module
        if isinstance(layer, nn.Parameter):
            return "a bare parameter takes part"
        if not isinstance(layer, RESIZABLE):
            if isinstance(layer, nn.Module) and next(layer.parameters(), None) is not None:
                return f"a {type(layer).__name__} takes part"
            continue
        if isinstance(layer, _ConvNd) and layer.groups > 1 and not _depthwise(layer):
            return f"{group._DG._module2name[layer]} is a grouped convolution"
        out = _side(group, item) == "out"
        channels = group._DG.get_out_channels(layer) if out else group._DG.get_in_channels(layer)
        partly = out and not divides and len(item.idxs) != channels
        if partly or max(item.idxs) >= channels or None in item.root_idxs:
            return "their widths differ, as where a shortcut is padded with zero channels"
    return None


def _depthwise(layer: _ConvNd) -> bool:
    return layer.groups == layer.in_channels == layer.out_channels


def _runs_after_cutting(model: nn.Module, example: Example, names: Sequence[str]) -> bool:
    """Return whether a copy without half of these groups' channels still has outputs of the same shape."""
    smaller = copy.deepcopy(model)
    by_name = {name_of(group): group for group in _trace(smaller, example)}
    halves = [range((width(by_name[name]) + 1) // 2) for name in names]
    inputs = inputs_for(model, example, 2)
    try:
        with torch.no_grad():
            expected = answer(model, inputs).logits.shape
            cut([by_name[name] for name in names], halves)
            return bool(answer(smaller, inputs).logits.shape == expected)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False

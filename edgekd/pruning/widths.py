"""Computes the width of each layer: the ranking of channels, the rounding of widths, and the cost before any cut."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch_pruning.dependency import Group

from edgekd.nn.example import Example, inputs_for
from edgekd.nn.outputs import answer
from edgekd.pruning.groups import parts, width


@dataclass(frozen=True)
class Cost:
    """Attributes:
    macs: multiply-accumulates of one inference, in convolutions and linear layers.
    parameters: number of trainable parameters.
    """

    macs: int
    parameters: int


@dataclass(frozen=True)
class CostModel:
    """The cost of every layer and the groups that its width depends on, which give the cost of a choice of widths.

    Attributes:
        layers: (MACs, weights, other parameters, out channels, in channels or None where they follow the out channels).
        makes, reads: for each layer, how many of its out (in) channels belong to each channel of a group:
            {group: positions}.
        rest: number of parameters of all layers that are never cut.
    """

    layers: tuple[tuple[int, int, int, int, int | None], ...]
    makes: tuple[dict[int, int], ...]
    reads: tuple[dict[int, int], ...]
    rest: int

    def at(self, removed: Sequence[int]) -> Cost:
        """Return the cost of the network without `removed` channels of each group."""
        macs, parameters = 0, self.rest
        for (layer_macs, weights, others, out, inner), makes, reads in zip(
            self.layers, self.makes, self.reads, strict=True
        ):
            out_channels = out - sum(removed[group] * positions for group, positions in makes.items())
            inner_channels = (
                (inner - sum(removed[group] * positions for group, positions in reads.items())) if inner else 1
            )
            whole = out * (inner or 1)
            macs += layer_macs * out_channels * inner_channels // whole
            parameters += weights * out_channels * inner_channels // whole + others * out_channels // out
        return Cost(macs, parameters)


def cost_model(model: nn.Module, example: Example, groups: Sequence[Group] = ()) -> CostModel:
    """Run `model` once, and return the cost of each layer and the groups that determine its width."""
    makes: dict[nn.Module, dict[int, int]] = {}
    reads: dict[nn.Module, dict[int, int]] = {}
    for number, group in enumerate(groups):
        for part in parts(group):
            side = makes if part.side == "out" else reads
            side.setdefault(part.layer, {})[number] = len(part.index) // width(group)
    macs = _macs(model, example)
    layers = [module for module in model.modules() if module in macs or module in makes or module in reads]
    layer_parameters = {id(parameter) for layer in layers for parameter in layer.parameters(recurse=False)}
    rest = sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in layer_parameters)
    return CostModel(
        tuple(_layer(layer, macs.get(layer, 0)) for layer in layers),
        tuple(makes.get(layer, {}) for layer in layers),
        tuple(reads.get(layer, {}) for layer in layers),
        rest,
    )


def ranking(scores: Sequence[Tensor]) -> list[int]:
    """Rank the channels of all groups, the least important first, and return the group of each."""
    if not scores:
        return []
    all_scores = torch.cat(list(scores))
    owner = torch.cat([torch.full((len(group),), number) for number, group in enumerate(scores)])
    return [int(number) for number in owner[torch.argsort(all_scores, stable=True)]]


def removed_channels(order: Sequence[int], count: int, widths: Sequence[int], multiple: int) -> list[int]:
    """Return how many channels each group loses when the `count` lowest of all are removed and widths are rounded.

    The remaining width is the nearest multiple, and at least one multiple; a group that is no wider loses nothing, and
    neither does one whose width rounds to its full width or beyond.
    """
    counts = [0] * len(widths)
    for group in order[:count]:
        counts[group] += 1
    return [_round_removal(full, count_of_group, multiple) for full, count_of_group in zip(widths, counts, strict=True)]


def restored_channels(
    rounded_removal: Sequence[int], order: Sequence[int], multiple: int, enough: Callable[[Sequence[int]], bool]
) -> list[int]:
    """Return how many channels each group loses after the channels that rounding removed needlessly are restored.

    Args:
        rounded_removal: how many channels each group loses after rounding.
        order: the groups that lose a channel, in the order of the ranking; groups are restored from its end.
        multiple: number of channels that are restored at a time.
        enough: channels removed from each group -> whether the goal is reached.
    """
    removal = list(rounded_removal)
    for group in dict.fromkeys(reversed(order)):
        smaller = [count - min(multiple, count) * (group == other) for other, count in enumerate(removal)]
        while removal[group] and enough(smaller):
            removal = smaller
            smaller = [count - min(multiple, count) * (group == other) for other, count in enumerate(removal)]
    return removal


def kept_channels(scores: Sequence[Tensor], removal: Sequence[int]) -> list[list[int]]:
    """Return the channels that remain in each group without its `removal` lowest ones, in their old order."""
    return [
        sorted(torch.argsort(group, stable=True)[count:].tolist()) for group, count in zip(scores, removal, strict=True)
    ]


def fewest(most: int, enough: Callable[[int], bool]) -> int | None:
    """Return the smallest count up to `most` that is `enough`, by bisection; None where even `most` is too few."""
    count = bisect_left(range(most + 1), True, key=enough)
    return count if count <= most else None


def _round_removal(full: int, count: int, multiple: int) -> int:
    if not count or full <= multiple:
        return 0
    remaining = max(multiple, (full - count + multiple // 2) // multiple * multiple)
    return max(0, full - remaining)


def _layer(layer: nn.Module, macs: int) -> tuple[int, int, int, int, int | None]:
    if isinstance(layer, _BatchNorm):
        return macs, 0, sum(parameter.numel() for parameter in layer.parameters()), layer.num_features, None
    assert isinstance(layer, _ConvNd | nn.Linear)
    bias = layer.bias.numel() if layer.bias is not None else 0
    if isinstance(layer, nn.Linear):
        return macs, layer.weight.numel(), bias, layer.out_features, layer.in_features
    # A depthwise layer shares its input's channels, so its cost is proportional to their number, not to its square.
    inner = layer.in_channels if layer.groups == 1 else None
    return macs, layer.weight.numel(), bias, layer.out_channels, inner


def _macs(model: nn.Module, example: Example) -> dict[nn.Module, int]:
    """Count the multiply-accumulates of each convolution and linear layer, for one input."""
    counts: dict[nn.Module, int] = {}

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight: Tensor = layer.weight  # type: ignore[assignment]
        if isinstance(layer, nn.Linear):
            macs = output.numel() * weight.shape[1]
        elif layer.transposed:
            macs = inputs[0].numel() * weight[0].numel()
        else:
            macs = output.numel() * weight[0].numel()
        counts[layer] = counts.get(layer, 0) + macs

    hooks = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, _ConvNd | nn.Linear)]
    try:
        with torch.no_grad():
            answer(model.eval(), inputs_for(model, example, 1))
    finally:
        for hook in hooks:
            hook.remove()
    return counts

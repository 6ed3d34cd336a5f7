"""How wide each layer is to be: channels ranked together, widths rounded, and the price of a choice before any cut."""

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
    parameters: what can be trained.
    """

    macs: int
    parameters: int


@dataclass(frozen=True)
class Prices:
    """What every layer costs and which groups its width hangs on, so that a choice of widths has a price.

    Attributes:
        layers: (MACs, weights, other parameters, out channels, in channels or None where they follow the out channels).
        makes, reads: per layer, how many of its out (in) channels go with each channel of a group: {group: positions}.
        rest: parameters of everything that is never cut.
    """

    layers: tuple[tuple[int, int, int, int, int | None], ...]
    makes: tuple[dict[int, int], ...]
    reads: tuple[dict[int, int], ...]
    rest: int

    def at(self, removed: Sequence[int]) -> Cost:
        """The price of the network after so many channels are gone from each group."""
        macs, parameters = 0, self.rest
        for (layer_macs, weights, others, out, inner), makes, reads in zip(
            self.layers, self.makes, self.reads, strict=True
        ):
            out_left = out - sum(removed[group] * positions for group, positions in makes.items())
            inner_left = (inner - sum(removed[group] * positions for group, positions in reads.items())) if inner else 1
            whole = out * (inner or 1)
            macs += layer_macs * out_left * inner_left // whole
            parameters += weights * out_left * inner_left // whole + others * out_left // out
        return Cost(macs, parameters)


def prices(model: nn.Module, example: Example, groups: Sequence[Group] = ()) -> Prices:
    """Run `model` once, and note what each layer costs and which groups set its width."""
    makes: dict[nn.Module, dict[int, int]] = {}
    reads: dict[nn.Module, dict[int, int]] = {}
    for number, group in enumerate(groups):
        for part in parts(group):
            side = makes if part.side == "out" else reads
            side.setdefault(part.layer, {})[number] = len(part.index) // width(group)
    macs = _macs(model, example)
    layers = [module for module in model.modules() if module in macs or module in makes or module in reads]
    counted = {id(parameter) for layer in layers for parameter in layer.parameters(recurse=False)}
    rest = sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in counted)
    return Prices(
        tuple(_layer(layer, macs.get(layer, 0)) for layer in layers),
        tuple(makes.get(layer, {}) for layer in layers),
        tuple(reads.get(layer, {}) for layer in layers),
        rest,
    )


def ranking(scores: Sequence[Tensor]) -> list[int]:
    """The groups that lose a channel, one after the other: all channels in one order, the least important first."""
    if not scores:
        return []
    together = torch.cat(list(scores))
    owner = torch.cat([torch.full((len(group),), number) for number, group in enumerate(scores)])
    return [int(number) for number in owner[torch.argsort(together, stable=True)]]


def removed_channels(order: Sequence[int], count: int, widths: Sequence[int], multiple: int) -> list[int]:
    """How many channels each group loses when the `count` lowest of all go, and what remains is rounded.

    The remaining width is the nearest multiple, and at least one multiple; a group that is no wider is left alone, and
    so is one that rounds back to its full width or beyond.
    """
    lost = [0] * len(widths)
    for group in order[:count]:
        lost[group] += 1
    return [_rounded(full, gone, multiple) for full, gone in zip(widths, lost, strict=True)]


def restored_channels(
    gone: Sequence[int], order: Sequence[int], multiple: int, enough: Callable[[Sequence[int]], bool]
) -> list[int]:
    """How many channels each group loses once what rounding took too much is back, a multiple at a time.

    Args:
        order: the groups that lost a channel, one after the other; the last one is asked first.
        enough: whether so much may be lost from each group, and no less.
    """
    left = list(gone)
    for group in dict.fromkeys(reversed(order)):
        less = [lost - min(multiple, lost) * (group == other) for other, lost in enumerate(left)]
        while left[group] and enough(less):
            left = less
            less = [lost - min(multiple, lost) * (group == other) for other, lost in enumerate(left)]
    return left


def kept_channels(scores: Sequence[Tensor], gone: Sequence[int]) -> list[list[int]]:
    """The channels that remain in each group when its `gone` lowest are taken, in their old order."""
    return [sorted(torch.argsort(group, stable=True)[lost:].tolist()) for group, lost in zip(scores, gone, strict=True)]


def fewest(most: int, enough: Callable[[int], bool]) -> int | None:
    """The smallest count up to `most` that is `enough`, by bisection; None where even `most` is too few."""
    count = bisect_left(range(most + 1), True, key=enough)
    return count if count <= most else None


def _rounded(full: int, gone: int, multiple: int) -> int:
    if not gone or full <= multiple:
        return 0
    remaining = max(multiple, (full - gone + multiple // 2) // multiple * multiple)
    return max(0, full - remaining)


def _layer(layer: nn.Module, macs: int) -> tuple[int, int, int, int, int | None]:
    if isinstance(layer, _BatchNorm):
        return macs, 0, sum(parameter.numel() for parameter in layer.parameters()), layer.num_features, None
    assert isinstance(layer, _ConvNd | nn.Linear)
    bias = layer.bias.numel() if layer.bias is not None else 0
    if isinstance(layer, nn.Linear):
        return macs, layer.weight.numel(), bias, layer.out_features, layer.in_features
    # Depthwise shares its input's channels: its cost follows them once, not twice.
    inner = layer.in_channels if layer.groups == 1 else None
    return macs, layer.weight.numel(), bias, layer.out_channels, inner


def _macs(model: nn.Module, example: Example) -> dict[nn.Module, int]:
    """Multiply-accumulates of each convolution and linear layer, for one input."""
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

"""The next cut: which channels are to stay, on the way to a share of the cost or to the target's limits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekd.config import Prune
from edgekd.errors import ModelError, OverBudgetError
from edgekd.nn.example import Example
from edgekd.pruning.groups import NO_PRUNING, Channels, cut_copy, find, name_of, score, width
from edgekd.pruning.saliency import SaliencyData
from edgekd.pruning.widths import (
    Cost,
    Prices,
    fewest,
    kept_channels,
    prices,
    ranking,
    removed_channels,
    restored_channels,
)

Criterion = Callable[..., Tensor]


@dataclass(frozen=True)
class Miss:
    """A limit that the int8 student does not keep yet."""

    limit: str
    allowed: int
    reached: int

    def __str__(self) -> str:
        over = self.reached - self.allowed
        return f"limits.{self.limit} of {self.allowed:,} B is missed by {over:,} B ({self.reached:,} B)"


Budget = Callable[[nn.Module], Sequence[Miss]]


@dataclass(frozen=True)
class Goal:
    """Where the cuts lead: `whole` is the price of the network before the first, `cuts_left` counts this one."""

    settings: Prune
    whole: Cost
    budget: Budget | None
    cuts_left: int

    def amount(self, cost: Cost) -> int:
        """Of a cost, what `prune.of` counts: MACs or parameters."""
        return int(getattr(cost, self.settings.of))

    def worths(self, price: Prices, groups: int) -> list[int]:
        """What one channel of each group costs, where scores are weighed by it; 1 where they are not."""
        if not self.settings.per_cost:
            return [1] * groups
        whole = self.amount(price.at([0] * groups))
        alone = ([int(group == other) for other in range(groups)] for group in range(groups))
        return [max(1, whole - self.amount(price.at(lost))) for lost in alone]


def choose(
    student: nn.Module, channels: Channels, evidence: SaliencyData, criterion: Criterion, goal: Goal
) -> list[list[int]] | None:
    """The channels that stay in each group, for the next cut; None where the goal is reached."""
    settings, example = goal.settings, evidence.splits.example
    title, options = settings.criterion, settings.entry_options()
    scores = [score(group, evidence, criterion, options, title) for group in channels.groups]
    widths, names = [width(group) for group in channels.groups], [name_of(group) for group in channels.groups]
    price = prices(student, example, channels.groups)
    order = ranking([each / worth for each, worth in zip(scores, goal.worths(price, len(scores)), strict=True)])

    def lost(count: int) -> list[int]:
        return removed_channels(order, count, widths, settings.channel_multiple)

    def amount(gone: Sequence[int]) -> int:
        return goal.amount(price.at(gone))

    def misses(gone: Sequence[int]) -> Sequence[Miss]:
        assert goal.budget is not None
        return goal.budget(cut_copy(student, example, names, kept_channels(scores, gone)))

    def enough(gone: Sequence[int]) -> bool:
        return not misses(gone) if goal.budget else amount(gone) <= settings.keep * goal.amount(goal.whole)

    last = fewest(len(order), lambda count: enough(lost(count)))
    if last is None and goal.budget:
        raise _too_big(misses(lost(len(order))))
    if last is None:
        raise _too_stubborn(settings, amount(lost(len(order))) / goal.amount(goal.whole), channels)
    gone = restored_channels(lost(last), order[:last], settings.channel_multiple, enough)
    if not any(gone):
        return None
    if goal.cuts_left > 1:
        target = amount(lost(0)) * (amount(gone) / amount(lost(0))) ** (1 / goal.cuts_left)
        count = fewest(last, lambda count: amount(lost(count)) <= target)
        gone = gone if count is None else lost(count)
    return kept_channels(scores, gone)


def narrowest(model: nn.Module, example: Example, channel_multiple: int) -> nn.Module:
    """A copy of `model`, each of whose groups has as few channels as pruning may leave."""
    groups = find(model, example).groups
    widths = [width(group) for group in groups]
    alike = [torch.zeros(channels) for channels in widths]
    gone = removed_channels(ranking(alike), sum(widths), widths, channel_multiple)
    return cut_copy(model, example, [name_of(group) for group in groups], kept_channels(alike, gone))


def _too_big(misses: Sequence[Miss]) -> OverBudgetError:
    limits = "; ".join(map(str, misses))
    raising = " and ".join(f"--set limits.{miss.limit}={miss.reached}" for miss in misses)
    return OverBudgetError(
        f"even cut to its narrowest, the student does not fit: {limits}",
        f"a smaller student (student.model, or its width), or {raising}",
    )


def _too_stubborn(settings: Prune, least: float, channels: Channels) -> ModelError:
    why = f" ({channels.notes[0]})" if channels.notes else ""
    if not channels.groups:
        return ModelError(f"the student has no channels that can be pruned{why}", NO_PRUNING)
    return ModelError(
        f"the student can't be pruned to {settings.keep:.0%} of its {settings.of}: {least:.1%} is the least{why}",
        f"--set prune.keep={min(1.0, least + 0.01):.2f}, or a smaller prune.channel_multiple",
    )

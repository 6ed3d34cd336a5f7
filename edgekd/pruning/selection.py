"""Selects the channels that remain after the next cut, on the way to a share of the cost or to the target's limits."""

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
    CostModel,
    cost_model,
    fewest,
    kept_channels,
    ranking,
    removed_channels,
    restored_channels,
)

Criterion = Callable[..., Tensor]


@dataclass(frozen=True)
class Miss:
    """A limit that the int8 student exceeds, in bytes."""

    limit: str
    allowed: int
    reached: int

    def __str__(self) -> str:
        over = self.reached - self.allowed
        return f"limits.{self.limit} of {self.allowed:,} B is missed by {over:,} B ({self.reached:,} B)"


Budget = Callable[[nn.Module], Sequence[Miss]]


@dataclass(frozen=True)
class Goal:
    """The goal of all cuts.

    Attributes:
        whole: cost of the network before the first cut.
        budget: network -> the limits that it exceeds as an int8 student; None where a share of the cost is the goal.
        cuts: number of cuts, including this one.
    """

    settings: Prune
    whole: Cost
    budget: Budget | None
    cuts: int

    def amount(self, cost: Cost) -> int:
        """Return the MACs or the parameters of a cost, whichever `prune.of` counts."""
        return int(getattr(cost, self.settings.of))

    def channel_costs(self, costs: CostModel, groups: int) -> list[int]:
        """Return the cost of one channel of each group where scores are divided by it, and 1 where they are not."""
        if not self.settings.per_cost:
            return [1] * groups
        whole = self.amount(costs.at([0] * groups))
        alone = ([int(group == other) for other in range(groups)] for group in range(groups))
        return [max(1, whole - self.amount(costs.at(removal))) for removal in alone]


def choose(
    student: nn.Module, channels: Channels, data: SaliencyData, criterion: Criterion, goal: Goal
) -> list[list[int]] | None:
    """Return the channels that remain in each group after the next cut; None where the goal is reached.

    Raises:
        OverBudgetError: the narrowest student exceeds a limit.
        ModelError: the student can't be pruned as far as `prune.keep`.
    """
    settings, example = goal.settings, data.splits.example
    title, options = settings.criterion, settings.entry_options()
    scores = [score(group, data, criterion, options, title) for group in channels.groups]
    widths, names = [width(group) for group in channels.groups], [name_of(group) for group in channels.groups]
    costs = cost_model(student, example, channels.groups)
    order = ranking(
        [group_scores / cost for group_scores, cost in zip(scores, goal.channel_costs(costs, len(scores)), strict=True)]
    )

    def removal_after(count: int) -> list[int]:
        return removed_channels(order, count, widths, settings.channel_multiple)

    def amount(removal: Sequence[int]) -> int:
        return goal.amount(costs.at(removal))

    def misses(removal: Sequence[int]) -> Sequence[Miss]:
        assert goal.budget is not None
        return goal.budget(cut_copy(student, example, names, kept_channels(scores, removal)))

    def enough(removal: Sequence[int]) -> bool:
        return not misses(removal) if goal.budget else amount(removal) <= settings.keep * goal.amount(goal.whole)

    last = fewest(len(order), lambda count: enough(removal_after(count)))
    if last is None and goal.budget:
        raise _over_budget_error(misses(removal_after(len(order))))
    if last is None:
        raise _unreachable_error(settings, amount(removal_after(len(order))) / goal.amount(goal.whole), channels)
    removal = restored_channels(removal_after(last), order[:last], settings.channel_multiple, enough)
    if not any(removal):
        return None
    if goal.cuts > 1:
        target = amount(removal_after(0)) * (amount(removal) / amount(removal_after(0))) ** (1 / goal.cuts)
        count = fewest(last, lambda count: amount(removal_after(count)) <= target)
        removal = removal if count is None else removal_after(count)
    return kept_channels(scores, removal)


def narrowest(model: nn.Module, example: Example, channel_multiple: int) -> nn.Module:
    """Return a copy of `model` in which every group has as few channels as pruning may leave."""
    groups = find(model, example).groups
    widths = [width(group) for group in groups]
    scores = [torch.zeros(channels) for channels in widths]
    removal = removed_channels(ranking(scores), sum(widths), widths, channel_multiple)
    return cut_copy(model, example, [name_of(group) for group in groups], kept_channels(scores, removal))


def _over_budget_error(misses: Sequence[Miss]) -> OverBudgetError:
    limits = "; ".join(map(str, misses))
    remedies = " and ".join(f"--set limits.{miss.limit}={miss.reached}" for miss in misses)
    return OverBudgetError(
        f"even cut to its narrowest, the student does not fit: {limits}",
        f"a smaller student (student.model, or its width), or {remedies}",
    )


def _unreachable_error(settings: Prune, least: float, channels: Channels) -> ModelError:
    why = f" ({channels.notes[0]})" if channels.notes else ""
    if not channels.groups:
        return ModelError(f"the student has no channels that can be pruned{why}", NO_PRUNING)
    return ModelError(
        f"the student can't be pruned to {settings.keep:.0%} of its {settings.of}: {least:.1%} is the least{why}",
        f"--set prune.keep={min(1.0, least + 0.01):.2f}, or a smaller prune.channel_multiple",
    )

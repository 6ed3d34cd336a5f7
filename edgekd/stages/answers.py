"""The answers stage: what the teacher says of every training sample in every augmentation view, computed once.

It stands beside the teacher in the store, so that every loss, scheme, student and target reads the same answers. They
are kept with it until the store is cleared; `distill.views = 0` makes none, and the teacher then runs in the loop.
Where losses look inside the teacher, it runs in the loop of `distill`, and the answers serve `prune` and `quantize`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgekd.config import Augment, Config, Training
from edgekd.data.batches import Views, applicable
from edgekd.data.splits import Splits
from edgekd.distillation.teachers.answer_cache import BATCH, check_space, clear_away, size_bytes, write
from edgekd.distillation.teachers.answers import Index, save_index
from edgekd.distillation.teachers.load import has_only_answers, load_teacher
from edgekd.training import distributed, runtime

VERSION = 2


def views_to_store(config: Config, splits: Splits, *, alone: bool) -> tuple[int, bool]:
    """(how many views are stored, whether one of them stands for all).

    Args:
        alone: the teacher's answers came without it, and are the same for every view.
    """
    if alone or (applicable(config.data.augment, splits) == Augment() and config.distill.views):
        return 1, True
    return config.stored_views, False


def precheck(config: Config, data: Path) -> None:
    """Refuse, before anything trains, answers that the disk can't hold; those in the store may be these."""
    splits = Splits.load(data)
    count, _ = views_to_store(config, splits, alone=config.teacher.answers is not None and not config.teacher.also)
    shards = [file for place in ("answers/*/*.npy", "work/answers-*/*.npy") for file in data.parent.parent.glob(place)]
    kept = sum(file.stat().st_size for file in shards)
    check_space(data, len(splits.train), splits.answer_shape, count, kept)


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves the shards and `answers.json`."""
    splits = Splits.load(read["data"])
    augment = applicable(config.data.augment, splits)
    count, any_view = views_to_store(config, splits, alone=has_only_answers(read["teacher"]))
    notes: list[str] = []
    if count:
        teacher = load_teacher(read["teacher"], splits, config.distill.precision, combine=config.distill.combine)
        device = runtime.fabric(Training(), config.compute, unused=False).device
        threads = config.compute.threads or runtime.threads(splits, Training(batch_size=BATCH))
        with runtime.reproducible(threads), torch.no_grad():
            views = Views(config.seed, count)
            notes = write(out, teacher, splits, views, augment, any_view=any_view, device=device)
        distributed.from_main(lambda: clear_away(out))
    else:
        nothing = Index(0, config.seed, False, len(splits.train), splits.answer_shape, 0, {})
        distributed.from_main(lambda: save_index(out, nothing))
    return {
        "views": count,
        "size_bytes": size_bytes(len(splits.train), splits.answer_shape, count),
        "skipped": not count,
        "notes": notes,
    }

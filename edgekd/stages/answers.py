"""The answers stage: it computes the teacher's outputs on every training sample in every augmentation view, once.

The outputs lie beside the teacher in the store, so that every loss, scheme, student and target reads the same ones.
They stay there until the store is cleared. With `distill.views = 0` none are stored, and the teacher then runs in the
training loop. Where losses read the teacher's inner layers, it runs in the loop of `distill` as well, and the stored
outputs serve `prune` and `quantize`.
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


def views_to_store(config: Config, splits: Splits, *, stored_only: bool) -> tuple[int, bool]:
    """Return how many views are stored, and whether one of them stands for all views.

    Args:
        stored_only: whether only a file of the teacher's outputs is at hand; they are the same for every view.
    """
    if stored_only or (applicable(config.data.augment, splits) == Augment() and config.distill.views):
        return 1, True
    return config.stored_views, False


def precheck(config: Config, data: Path) -> None:
    """Raise an error, before anything trains, if the teacher's outputs do not fit on the disk.

    Outputs that are in the store already are not counted again.
    """
    splits = Splits.load(data)
    count, _ = views_to_store(
        config, splits, stored_only=config.teacher.answers is not None and not config.teacher.also
    )
    shards = [file for place in ("answers/*/*.npy", "work/answers-*/*.npy") for file in data.parent.parent.glob(place)]
    stored_bytes = sum(file.stat().st_size for file in shards)
    check_space(data, len(splits.train), splits.answer_shape, count, stored_bytes)


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write the shards of the teacher's outputs and `answers.json` to `out`."""
    splits = Splits.load(folders["data"])
    augment = applicable(config.data.augment, splits)
    count, any_view = views_to_store(config, splits, stored_only=has_only_answers(folders["teacher"]))
    notes: list[str] = []
    if count:
        teacher = load_teacher(folders["teacher"], splits, config.distill.precision, combine=config.distill.combine)
        device = runtime.fabric(Training(), config.compute, unused=False).device
        threads = config.compute.threads or runtime.threads(splits, Training(batch_size=BATCH))
        with runtime.reproducible(threads), torch.no_grad():
            views = Views(config.seed, count)
            notes = write(out, teacher, splits, views, augment, any_view=any_view, device=device)
        distributed.from_main(lambda: clear_away(out))
    else:
        empty_index = Index(0, config.seed, False, len(splits.train), splits.answer_shape, 0, {})
        distributed.from_main(lambda: save_index(out, empty_index))
    return {
        "views": count,
        "size_bytes": size_bytes(len(splits.train), splits.answer_shape, count),
        "skipped": not count,
        "notes": notes,
    }

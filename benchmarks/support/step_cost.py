"""The cost of a training step with a teacher, compared with a step of the same student on labels alone."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.data.batches import Batch, batches
from edgekd.distillation.run import DistillationRun, Teacher
from edgekd.nn.outputs import answer
from edgekd.training.evaluate import channels_last
from edgekd.training.runtime import channels_last_weights

ROUNDS, WARM_UP_ROUNDS = 12, 3


def costs(plain: DistillationRun, distillation: DistillationRun, batch_size: int, device: str) -> dict[str, float]:
    """Return the medians of interleaved steps: plain, with the teacher running, and with its stored outputs.

    `plain_step_ms` is in milliseconds, the other two are ratios to it.
    """
    batch = next(batches(plain.splits.train, plain.splits, batch_size, device=device))
    steps: dict[str, Callable[[], None]] = {"plain": stepper(plain, None, batch, device)}
    if distillation.teacher is not None:
        outputs = distillation.teacher(batch)
        steps["running"] = stepper(distillation, distillation.teacher, batch, device)
        steps["at hand"] = stepper(distillation, lambda _: outputs, batch, device)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS + WARM_UP_ROUNDS):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if device != "cpu":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times[WARM_UP_ROUNDS:]) for name, times in seconds.items()}
    return {
        "plain_step_ms": round(1000 * median["plain"], 2),
        "step_ms_ratio": round(median.get("running", median["plain"]) / median["plain"], 3),
        "step_ms_ratio_stored": round(median.get("at hand", median["plain"]) / median["plain"], 3),
    }


def stepper(run: DistillationRun, teacher: Teacher | None, batch: Batch, device: str) -> Callable[[], None]:
    """Return a function that runs one training step on one batch."""
    module = nn.ModuleDict({"student": run.student, **({"loss": run.loss} if run.loss else {})})
    module.to(device).train()
    channels_last_weights(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-6, momentum=0.9, nesterov=True)
    mixed = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=run.settings.precision == "bf16")

    def loss() -> Tensor:
        outputs = answer(run.student, channels_last(batch.x), run.layers, batch.index)
        if teacher is None or run.loss is None:
            return F.cross_entropy(outputs.logits, batch.y)
        value: Tensor = run.loss(outputs, teacher(batch), batch.y)
        return value

    def step() -> None:
        with mixed:
            value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step

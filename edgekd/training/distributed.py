"""The processes of a training that `torchrun` started: their ranks, barriers, broadcasts and reductions."""

import atexit
import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import distributed

Result = TypeVar("Result")

# The main process evaluates, writes and, at worst, waits for a lock while the others wait for it.
TIMEOUT = timedelta(hours=24)


def world() -> int:
    """Return how many processes train together; 1 without `torchrun`."""
    return int(os.environ["WORLD_SIZE"]) if _under_torchrun() else 1


def rank() -> int:
    """Return this process's number, from 0."""
    return int(os.environ["RANK"]) if _under_torchrun() else 0


def nodes() -> int:
    """Return how many machines the processes run on; each machine has equally many."""
    return world() // int(os.environ["LOCAL_WORLD_SIZE"]) if _under_torchrun() else 1


def is_main() -> bool:
    """Return whether this is the main process, which alone prints, writes and evaluates."""
    return rank() == 0


def connect() -> None:
    """Join the other processes; a second call, or one without `torchrun`, does nothing."""
    if world() == 1 or distributed.is_initialized():
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=TIMEOUT)
    atexit.register(_leave_group)


def barrier() -> None:
    """Wait until every process has called this."""
    from_main(lambda: None)


def from_main(compute: Callable[[], Result]) -> Result:
    """Return in every process what `compute` returns in the main process.

    It is computed when all processes have called this, so that it may remove files that they were reading before.
    """
    if world() == 1:
        return compute()
    connect()
    distributed.all_reduce(torch.zeros(1))  # a broadcast alone does not let its sender wait
    results: list[object] = [compute() if is_main() else None]
    distributed.broadcast_object_list(results, src=0, device=torch.device("cpu"))
    return cast(Result, results[0])


def total(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor's sum over the processes, for values that DDP does not reduce."""
    if world() == 1:
        return tensor
    connect()
    result = tensor.clone()
    distributed.all_reduce(result)
    return result


def mean(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor's mean over the processes."""
    return total(tensor) / world()


def _leave_group() -> None:
    """Destroy the process group; otherwise gloo's threads sometimes abort a process at the interpreter's end."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and "WORLD_SIZE" in os.environ

"""The processes of a training that `torchrun` started: which one this is, and how they wait for and tell each other."""

import atexit
import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import distributed

Result = TypeVar("Result")

# The main process evaluates, writes and, at worst, waits for a lock while the others wait for it.
PATIENCE = timedelta(hours=24)


def world() -> int:
    """How many processes train together; 1 without `torchrun`."""
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def rank() -> int:
    """This process's number, from 0."""
    return int(os.environ["RANK"]) if _launched() else 0


def nodes() -> int:
    """How many machines the processes are spread over, each with as many."""
    return world() // int(os.environ["LOCAL_WORLD_SIZE"]) if _launched() else 1


def is_main() -> bool:
    """The main process alone prints, writes and evaluates."""
    return rank() == 0


def connect() -> None:
    """Join the other processes; costs nothing alone or a second time."""
    if world() == 1 or distributed.is_initialized():
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    atexit.register(_part)


def barrier() -> None:
    """Wait until every process is here."""
    from_main(lambda: None)


def from_main(compute: Callable[[], Result]) -> Result:
    """What `compute` gives in the main process, in every process; the others wait for it.

    It is computed when all have come, so that it may take away what they were reading before.
    """
    if world() == 1:
        return compute()
    connect()
    distributed.all_reduce(torch.zeros(1))  # a broadcast alone does not let its sender wait
    told: list[object] = [compute() if is_main() else None]
    distributed.broadcast_object_list(told, src=0, device=torch.device("cpu"))
    return cast(Result, told[0])


def total(tensor: torch.Tensor) -> torch.Tensor:
    """Its sum over the processes, for what DDP does not see."""
    if world() == 1:
        return tensor
    connect()
    summed = tensor.clone()
    distributed.all_reduce(summed)
    return summed


def mean(tensor: torch.Tensor) -> torch.Tensor:
    """Its mean over the processes."""
    return total(tensor) / world()


def _part() -> None:
    """Left to the interpreter's end, gloo's threads now and then abort a process whose work is done."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _launched() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and "WORLD_SIZE" in os.environ

"""What a training runs on: Fabric's processes and device, threads, deterministic kernels and memory layout."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import nn

from edgekd.config import Compute, Training
from edgekd.data.splits import Splits
from edgekd.errors import ConfigError
from edgekd.training import distributed
from edgekd.training.evaluate import channels_last

SMALL_BATCH = 2**14  # input numbers in a batch; the digits have a quarter of it (benchmarks/claims/small_batches.py)


def fabric(settings: Training, compute: Compute, unused: bool) -> Fabric:
    """Lightning Fabric for this process.

    Args:
        unused: some parameters get no gradient, which DDP must know.
    """
    world = distributed.world()
    distributed.connect()
    # Of 1x1 kernels, whose strides can be told in two ways; "not an error", it says, once in each process.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    try:
        fabric = Fabric(
            accelerator=compute.accelerator,
            devices=world // distributed.nodes(),
            num_nodes=distributed.nodes(),
            precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
            strategy=DDPStrategy(find_unused_parameters=unused) if world > 1 else "auto",
            plugins=[TorchElasticEnvironment() if world > 1 else LightningEnvironment()],
        )
    except RuntimeError as error:
        if "accelerator is not available" not in str(error):
            raise
        raise ConfigError(
            f"compute.accelerator = {compute.accelerator!r}: this machine has none that torch can use",
            "--set compute.accelerator=auto",
        ) from error
    fabric.launch()
    return fabric


def channels_last_weights(module: nn.Module) -> None:
    """Kernels of 2-D convolutions alone: `module.to(memory_format=...)` would stumble over those of 3-D ones."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = channels_last(parameter.data)


def to_cpu(module: nn.Module) -> None:
    """As it came: on the CPU, in the usual memory layout, without gradients."""
    module.to("cpu")
    for parameter in module.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        parameter.grad = None


def threads(splits: Splits, settings: Training) -> int:
    """One for small inputs: more gain little there, and lose much where they wait for one another on a busy machine."""
    elements = min(settings.batch_size, len(splits.train)) * int(np.prod(splits.input_shape))
    return 1 if elements <= SMALL_BATCH else torch.get_num_threads()


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Deterministic kernels (an operator that has none warns), so many threads, and torch's state put back after."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only so
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    threads_before = torch.get_num_threads()
    benchmark = torch.backends.cudnn.benchmark
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision each time
    with torch.random.fork_rng():
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.benchmark = False
            torch.set_num_threads(threads)
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn_only)
            torch.backends.cudnn.benchmark = benchmark
            torch.set_num_threads(threads_before)

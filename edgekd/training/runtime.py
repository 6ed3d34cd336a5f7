"""Sets up what a training runs on: Fabric's processes and device, threads, deterministic kernels and memory layout."""

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
    """Return Lightning Fabric for this process.

    Args:
        unused: whether some parameters get no gradient, which DDP must know.

    Raises:
        ConfigError: the accelerator is not available.
    """
    world = distributed.world()
    distributed.connect()
    # Strides of 1x1 kernels can be described in two ways; torch warns of it, "not an error", once in each process.
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
    """Store kernels of 2-D convolutions channels last; `module.to(memory_format=...)` would fail for 3-D ones."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = channels_last(parameter.data)


def to_cpu(module: nn.Module) -> None:
    """Move the module to the CPU, in the usual memory layout and without gradients."""
    module.to("cpu")
    for parameter in module.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        parameter.grad = None


def threads(splits: Splits, settings: Training) -> int:
    """Return the number of threads: one for small inputs, which gain little from more, and lose on busy machines."""
    elements = min(settings.batch_size, len(splits.train)) * int(np.prod(splits.input_shape))
    return 1 if elements <= SMALL_BATCH else torch.get_num_threads()


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Use deterministic kernels (an operator without one warns) and `threads` threads; restore torch's state after."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
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

"""Bias correction: what rounding adds to a channel on average is taken off its bias, layer by layer.

Nagel et al. (2019), "Data-free quantization through weight equalization and bias correction", section 4.2, with
calibration data (their appendix D): E[y in float] - E[y quantised] of each channel, before the activation, measured
when all layers before are quantised and corrected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from edgekd.graph import plan, simulated
from edgekd.graph.operators.training import in_float
from edgekd.graph.structure import Weighted
from edgekd.quantization.channels import shared_parameters
from edgekd.quantization.simulate import Simulation

MEMORY_BYTES = 2**28
"""All samples go through the network side by side, operator by operator: as many as keep their activations in this."""

FEWEST_SAMPLES = 16


def affordable(simulation: Simulation) -> int:
    """How many samples can go through side by side, in float and quantised."""
    each = 2 * plan.peak_ram_bytes(simulation.graph, bytes_per_element=4)
    return max(FEWEST_SAMPLES, MEMORY_BYTES // max(each, 1))


@torch.no_grad()
def correct_biases(simulation: Simulation, batches: Iterable[Tensor | tuple[Tensor, ...]]) -> dict[str, float]:
    """Correct the biases of a calibrated simulation in place; operators with shared parameters are left out.

    Args:
        batches: of real inputs, all of which are held at once: see `affordable`.

    Returns:
        The largest correction of each layer, as a share of its output's range.
    """
    given = [x if isinstance(x, tuple) else (x,) for x in batches]
    names = simulation.graph.inputs
    real = [dict(zip(names, x, strict=True)) for x in given]
    coded = [{n: simulation.coded(n, v) if n in simulation.scale_owner else v for n, v in x.items()} for x in real]
    left, shared = dict(simulation.readers), shared_parameters(simulation.graph)
    corrected: dict[str, float] = {}
    for op in simulation.graph.operators:
        if isinstance(op, Weighted) and op.name not in shared and op.output in simulation.scale_owner:
            shift = _mean_shift(simulation, op, [x[op.inputs[0]] for x in real], [x[op.inputs[0]] for x in coded])
            output = simulation.quantization(op.output)
            corrected[op.name] = float(shift.abs().max()) / (output.scale * (output.highest - output.lowest))
        for x in real:  # what is wanted keeps its bias
            x[op.output] = simulation.in_float(op, *(x[name] for name in op.inputs))
        if op.name in corrected:
            simulation.parameters_of(op)[1].add_(shift)
        for x in coded:
            x[op.output] = simulation.in_codes(op, *(x[name] for name in op.inputs))
        for name in set(op.inputs):
            left[name] -= 1
            if not left[name]:
                for x in (*real, *coded):
                    del x[name]
    return corrected


def _mean_shift(simulation: Simulation, op: Weighted, real: Sequence[Tensor], coded: Sequence[Tensor]) -> Tensor:
    """(out,): E[y in float] - E[y quantised], before the activation."""
    plain = replace(op, activation="none")
    shape = simulation.graph.tensors[op.output].shape
    step = simulation.quantization(op.inputs[0]).scale
    weight, bias = (torch.from_numpy(values) for values in deployed(simulation, op))
    total = torch.zeros(len(weight))
    for x, codes in zip(real, coded, strict=True):
        wanted = in_float(plain, x, *simulation.parameters_of(op), shape=shape)
        found = in_float(plain, codes * step, weight, bias, shape=shape)
        total += (wanted - found).movedim(op.batched_channel_axis, 0).flatten(1).mean(1) * len(x)
    return total / sum(map(len, real))


def deployed(simulation: Simulation, op: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias as real values after rounding."""
    shipped = simulated.shipped(simulation, op)
    assert isinstance(shipped, Weighted) and shipped.weight_scale is not None
    scale = shipped.weight_scale
    step = scale * np.float32(simulation.quantization(op.inputs[0]).scale)
    weight = shipped.weight * scale.reshape(-1, *[1] * (shipped.weight.ndim - 1))
    return weight.astype(np.float32), (shipped.bias * step).astype(np.float32)

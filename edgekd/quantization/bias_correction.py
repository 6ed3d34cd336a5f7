"""Bias correction: subtracts from each bias what rounding adds to its channel on average, layer by layer.

The method is that of Nagel et al. (2019), "Data-free quantization through weight equalization and bias correction",
section 4.2, with calibration data (appendix D): E[y in float] - E[y quantised] of each channel, before the activation,
measured when all layers before are quantised and corrected.
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
"""All samples go through the network together, operator by operator: so many that their activations fit into this."""

FEWEST_SAMPLES = 16


def affordable(simulation: Simulation) -> int:
    """How many samples fit into MEMORY_BYTES, in float and quantised."""
    bytes_per_sample = 2 * plan.peak_ram_bytes(simulation.graph, bytes_per_element=4)
    return max(FEWEST_SAMPLES, MEMORY_BYTES // max(bytes_per_sample, 1))


@torch.no_grad()
def correct_biases(simulation: Simulation, batches: Iterable[Tensor | tuple[Tensor, ...]]) -> dict[str, float]:
    """Correct the biases of a calibrated simulation in place; operators with shared parameters are left out.

    Args:
        batches: real inputs, all of which are held in memory at once; see `affordable`.

    Returns:
        The largest correction of each layer, as a share of its output's range.
    """
    inputs = [x if isinstance(x, tuple) else (x,) for x in batches]
    names = simulation.graph.inputs
    float_values = [dict(zip(names, x, strict=True)) for x in inputs]
    codes = [
        {n: simulation.to_codes(n, v) if n in simulation.scale_owner else v for n, v in x.items()} for x in float_values
    ]
    readers, shared_names = dict(simulation.readers), shared_parameters(simulation.graph)
    corrections: dict[str, float] = {}
    for op in simulation.graph.operators:
        if isinstance(op, Weighted) and op.name not in shared_names and op.output in simulation.scale_owner:
            source = op.inputs[0]
            shift = _mean_shift(simulation, op, [x[source] for x in float_values], [x[source] for x in codes])
            output = simulation.quantization(op.output)
            corrections[op.name] = float(shift.abs().max()) / (output.scale * (output.highest - output.lowest))
        for x in float_values:  # the float network keeps its bias
            x[op.output] = simulation.in_float(op, *(x[name] for name in op.inputs))
        if op.name in corrections:
            simulation.parameters_of(op)[1].add_(shift)
        for x in codes:
            x[op.output] = simulation.in_codes(op, *(x[name] for name in op.inputs))
        for name in set(op.inputs):
            readers[name] -= 1
            if not readers[name]:
                for x in (*float_values, *codes):
                    del x[name]
    return corrections


def _mean_shift(simulation: Simulation, op: Weighted, values: Sequence[Tensor], codes: Sequence[Tensor]) -> Tensor:
    """The mean difference E[y in float] - E[y quantised] of each channel before the activation, (out,)."""
    plain = replace(op, activation="none")
    shape = simulation.graph.tensors[op.output].shape
    step = simulation.quantization(op.inputs[0]).scale
    weight, bias = (torch.from_numpy(values) for values in deployed(simulation, op))
    total = torch.zeros(len(weight))
    for x, input_codes in zip(values, codes, strict=True):
        expected = in_float(plain, x, *simulation.parameters_of(op), shape=shape)
        actual = in_float(plain, input_codes * step, weight, bias, shape=shape)
        total += (expected - actual).movedim(op.batched_channel_axis, 0).flatten(1).mean(1) * len(x)
    return total / sum(map(len, values))


def deployed(simulation: Simulation, op: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """The weight and bias of an operator as real values after rounding."""
    shipped = simulated.shipped(simulation, op)
    assert isinstance(shipped, Weighted) and shipped.weight_scale is not None
    scale = shipped.weight_scale
    step = scale * np.float32(simulation.quantization(op.inputs[0]).scale)
    weight = shipped.weight * scale.reshape(-1, *[1] * (shipped.weight.ndim - 1))
    return weight.astype(np.float32), (shipped.bias * step).astype(np.float32)

"""From a torch module to the float graph: captured by torch.export, batch norm folded, activations fused."""

from typing import Any

import torch
from torch import nn

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.graph.lowerings import COMPUTING, LOWERINGS
from edgekd.graph.ops import Graph
from edgekd.graph.reader import BATCH, Reader, Refused
from edgekd.graph.simplify import BatchNorm, simplified


def capture(model: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The float graph of a model in its evaluation mode.

    Args:
        model: takes (N, *input_shape) float32, gives one tensor (N, ...).

    Raises:
        UnsupportedOperatorError: naming every layer that has no form in the graph.
        ModelError: where torch.export can't capture the model, or its outputs are not one tensor.
    """
    graph, refused = attempt(model, input_shape)
    if refused:
        more = f" (and {len(refused) - 1} more: {'; '.join(map(str, refused[1:4]))})" if refused[1:] else ""
        raise UnsupportedOperatorError(
            f"layer {refused[0]} has no int8 form{more}",
            f"put one of these in its place: {', '.join(COMPUTING)}",
        )
    assert graph is not None
    return graph


def attempt(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Graph | None, list[Refused]]:
    """The graph, or every operator that stands in its way."""
    program = _export(model, input_shape)
    reader = Reader(program, input_shape, LOWERINGS)
    for node in program.graph.nodes:
        reader.read(node)
    if reader.refused:
        return None, reader.refused
    output = next(node for node in program.graph.nodes if node.op == "output").args[0]
    if len(output) != 1:
        raise ModelError(f"the model has {len(output)} outputs; edgekd needs one", "return the logits alone")
    graph = simplified(Graph("input", reader.names[output[0]], reader.tensors, tuple(reader.operators)))
    if left := [op for op in graph.operators if isinstance(op, BatchNorm)]:
        return None, [Refused(op.name, "batch_norm", op.source, "it follows no convolution") for op in left]
    return graph, []


def _export(model: nn.Module, input_shape: tuple[int, ...]) -> Any:
    training = model.training
    parameter = next(model.parameters(), None)
    example = torch.zeros(BATCH, *input_shape, device=parameter.device if parameter is not None else "cpu")
    try:
        return torch.export.export(model.eval(), (example,)).module()
    except Exception as error:  # torch.export raises many kinds, and the model's own code any
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"torch.export can't capture the model: {type(error).__name__}: {first}",
            "make its forward free of data-dependent control flow, or try torch.export.export on it by hand",
        ) from error
    finally:
        model.train(training)

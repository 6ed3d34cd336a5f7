"""Captures a torch module as a float graph by torch.export, with batch norm folded and activations fused."""

import warnings
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.graph.capture.alternatives import instead
from edgekd.graph.capture.attention import batch_first_attention
from edgekd.graph.capture.lowerings import LOWERINGS
from edgekd.graph.capture.reader import BATCH, Reader, Refusal
from edgekd.graph.capture.simplify import simplified
from edgekd.graph.structure import Graph

Example = tuple[int, ...] | torch.Tensor


def capture(model: nn.Module, *examples: Example) -> Graph:
    """The float graph of a model in its evaluation mode.

    Args:
        model: its forward takes a float32 tensor (N, *shape) for each example, and returns a tensor (N, ...) or several
            in a tuple, list or dict.
        examples: for each input the shape of a sample, or where it holds integers (tokens), the values of one sample.

    Raises:
        UnsupportedOperatorError: naming every layer that has no form in the graph.
        ModelError: where torch.export can't capture the model.
    """
    graph, refusals = attempt(model, *examples)
    if refusals:
        others = f" (and {len(refusals) - 1} more: {'; '.join(map(str, refusals[1:4]))})" if refusals[1:] else ""
        raise UnsupportedOperatorError(
            f"layer {refusals[0]} has no int8 form{others}",
            instead(refusals),
        )
    assert graph is not None
    return graph


def attempt(model: nn.Module, *examples: Example) -> tuple[Graph | None, list[Refusal]]:
    """The graph of a model and no refusals, or None and a refusal for each operator that has no form in the graph."""
    program = _export(model, examples)
    program.graph.eliminate_dead_code()
    reader = Reader(program, LOWERINGS)
    for node in program.graph.nodes:
        reader.read(node)
    if reader.refusals:
        return None, reader.refusals
    result = next(node for node in program.graph.nodes if node.op == "output").args[0]
    leaves = [leaf for leaf in pytree.tree_leaves(result) if leaf is not None]
    outputs = tuple(reader.names.get(leaf, "") if isinstance(leaf, fx.Node) else "" for leaf in leaves)
    if not all(outputs) or not outputs:
        raise _useless("what does not depend on its inputs" if outputs else "nothing")
    graph = simplified(Graph(tuple(reader.inputs), outputs, reader.tensors, tuple(reader.operators)))
    if set(graph.outputs) & set(graph.inputs):
        raise _useless("an input as it came")
    if len(set(graph.outputs)) < len(graph.outputs):
        raise _useless("one tensor twice")
    return graph, []


def _useless(what: str) -> ModelError:
    return ModelError(f"the model's forward gives out {what}", "let it return what it computes, once, and no more")


def _export(model: nn.Module, examples: tuple[Example, ...]) -> Any:
    training = model.training
    parameter = next(model.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    batch = tuple(_batch(example).to(device) for example in examples)
    try:
        with batch_first_attention(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The tensor attributes")  # of a recurrent layer's own bookkeeping
            return torch.export.export(model.eval(), batch).module()
    except Exception as error:  # torch.export raises many kinds, and the model's own code any
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"torch.export can't capture the model: {type(error).__name__}: {first}",
            "make its forward free of data-dependent control flow, or try torch.export.export on it by hand",
        ) from error
    finally:
        model.train(training)


def _batch(example: Example) -> torch.Tensor:
    if isinstance(example, torch.Tensor):
        return example.expand(BATCH, *example.shape).contiguous()
    return torch.zeros(BATCH, *example)

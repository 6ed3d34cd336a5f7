"""The lowering of embeddings whose indices are an input of the model."""

from torch import fx

from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments
from edgekd.graph.ops import Embedding


def _lower_embedding(reader: Reader, node: fx.Node) -> None:
    w, indices = arguments(node, "weight", "indices")
    weight, name = reader.value(w), reader.name(indices)
    if reader.tensors[name].kind != "index":
        raise Unsupported("its indices are not an input of the model")
    reader.emit(node, Embedding, (name,), weight=weight)


LOWERINGS: dict[str, Lowering] = {"embedding": _lower_embedding}

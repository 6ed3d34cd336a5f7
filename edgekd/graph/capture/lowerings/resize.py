"""Lowerings of resizing: nearest neighbours become a Take, the linear kinds a bilinear Resize."""

from torch import fx

from edgekd.graph.capture.lowerings.movement import lower_take
from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments
from edgekd.graph.ops import Reshape, Resize


def _lower_linear(reader: Reader, node: fx.Node) -> None:
    x, align_corners = arguments(node, "input", "align_corners")
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]
    before, after = reader.shape(x), tuple(int(n) for n in node.meta["val"].shape[1:])
    if before == after:
        reader.same(node, x)
        return
    factors = arguments(node, "scale_factors")[0] if "scale_factors" in names else None
    divides = factors is None or all(
        n * factor == m for n, factor, m in zip(before[1:], factors, after[1:], strict=True)
    )
    if not align_corners and not divides:
        raise Unsupported("its scale factor leads to no whole number of pixels; give it a size")
    tensor = reader.name(x)
    if len(before) == 2:  # a sequence is an image of height 1
        tensor = reader.emit(node, Reshape, (tensor,), shape=(before[0], 1, before[1]))
        tensor = reader.emit(node, Resize, (tensor,), shape=(after[0], 1, after[1]), align_corners=align_corners)
        reader.emit(node, Reshape, (tensor,))
        return
    reader.emit(node, Resize, (tensor,), align_corners=align_corners)


LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(
        ("upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d"),
        lower_take,
    ),
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d"), _lower_linear),
}

"""Gives the reader of files the readers of RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import MOST_ELEMENTS, StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import Code
from edgekd.formats.tflite.reading.network import IMAGE, Network, Reader
from edgekd.graph.ops import Resize, Take

f32 = np.float32


def _size(net: Network, op: StoredOperator, source: int) -> tuple[int, int]:
    size = net.constant(op, 1, "a size").ravel()
    if size.shape != (2,) or size.min() < 1 or int(size[0]) * int(size[1]) * net.shapes[source][3] > MOST_ELEMENTS:
        raise damage_error(f"{op} resizes to {size.tolist()}")
    return int(size[0]), int(size[1])


def _read_bilinear(net: Network, op: StoredOperator) -> None:
    options, source = op.options(schema.ResizeBilinearOptionsT), net.input(op, 0)
    net.check_same_scale(op, source, op.outputs[0])
    if bool(options.alignCorners) == bool(options.halfPixelCenters):
        raise op.refusal("counts pixels from their upper left corners", "half_pixel_centers or align_corners")
    name, corners = net.read_image(op, source), bool(options.alignCorners)
    net.output_shape(op, (1, *_size(net, op, source), net.shapes[source][3]))
    net.emit(op, lambda n, out: Resize(n, (name,), out, corners), IMAGE)


def _read_nearest(net: Network, op: StoredOperator) -> None:
    """Read a RESIZE_NEAREST_NEIGHBOR as a Take of positions."""
    options, source = op.options(schema.ResizeNearestNeighborOptionsT), net.input(op, 0)
    net.check_same_scale(op, source, op.outputs[0])
    name = net.read_image(op, source)
    size = _size(net, op, source)
    _, *lengths, channels = net.shapes[source]
    net.output_shape(op, (1, *size, channels))
    rows, columns = (
        _nearest(n, m, bool(options.alignCorners), bool(options.halfPixelCenters))
        for n, m in zip(lengths, size, strict=True)
    )
    net.emit(op, lambda n, out: Take(n, (name,), out, (None, rows, columns)), IMAGE)


def _nearest(before: int, after: int, align_corners: bool, half_pixels: bool) -> tuple[int, ...]:
    """Return the input position of each output position, as `GetNearestNeighbor` of TFLite's kernels in float32."""
    scale = f32(before - 1) / f32(after - 1) if align_corners and after > 1 else f32(before) / f32(after)
    positions = (np.arange(after).astype(f32) + f32(0.5 if half_pixels else 0.0)) * scale
    positions = np.floor(positions + f32(0.5)) if align_corners else np.floor(positions)
    return tuple(int(i) for i in np.clip(positions, 0, before - 1))


READERS: dict[int, Reader] = {
    Code.RESIZE_BILINEAR: _read_bilinear,
    Code.RESIZE_NEAREST_NEIGHBOR: _read_nearest,
}

"""Gives the tests small networks as other converters write them, by functions that build a file.

Each function returns the indices of the outputs. The name of a network describes what is unusual in it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from support.foreign_files import Code, ForeignFile, options

Build = Callable[[ForeignFile], tuple[int, ...]]
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6
UNIT, SHARE = 1 / 128, 1 / 256


def conv(
    f: ForeignFile, x: int, out: tuple[int, ...], kernel: tuple[int, int] = (3, 3), bias: bool = True,
    channels: int | None = None, zero_point: int = 0, **fields: Any,
) -> int:  # fmt: skip
    """Add a CONV_2D whose output has the shape `out`; return the index of the output."""
    outputs, inputs = out[-1], int(f.tensors[x].shape[-1])
    weight = f.weights((outputs, *kernel, inputs), channels, 0, zero_point)
    named = {"strideH": 1, "strideW": 1, "padding": SAME} | fields
    output = f.tensor(out, 0.04, -5)
    inputs = [x, weight, f.bias(x, weight, outputs)] if bias else [x, weight]
    f.operator(Code.CONV_2D, inputs, output, options(schema.Conv2DOptionsT, **named))
    return output


def depthwise(f: ForeignFile, x: int, out: tuple[int, ...], channels: int | None, **fields: Any) -> int:
    weight = f.weights((1, 3, 3, out[-1]), channels, 3)
    named = {"strideH": 1, "strideW": 1, "padding": SAME, "depthMultiplier": out[-1] // int(f.tensors[x].shape[-1])}
    output = f.tensor(out, 0.03, 4)
    f.operator(
        Code.DEPTHWISE_CONV_2D,
        [x, weight, f.bias(x, weight, out[-1])],
        output,
        options(schema.DepthwiseConv2DOptionsT, **named | fields),
    )
    return output


def dense(f: ForeignFile, x: int, out: tuple[int, ...], width: int, bias: bool = True, **fields: Any) -> int:
    output = f.tensor(out, 0.06, 2)
    weight = f.weights((out[-1], width))
    inputs = [x, weight, f.bias(x, weight, out[-1]) if bias else -1]
    f.operator(Code.FULLY_CONNECTED, inputs, output, options(schema.FullyConnectedOptionsT, **fields))
    return output


def same_scale(f: ForeignFile, code: int, inputs: list[int], shape: tuple[int, ...], opts: Any = None) -> int:
    """Add an operator whose output has the scale of the first of `inputs` that has one."""
    like = next(f.tensors[i].quantization for i in inputs if f.tensors[i].quantization is not None)
    output = f.tensor(shape, float(like.scale[0]), int(like.zeroPoint[0]))
    f.operator(code, inputs, output, opts)
    return output


def single(
    code: int, shape: tuple[int, ...], scale: float, zero_point: int, opts: Any = None, step: float = 0.05
) -> Build:
    """Return a network of one operator on one image."""

    def build(f: ForeignFile) -> tuple[int, ...]:
        output = f.tensor(shape, scale, zero_point)
        f.operator(code, [f.input((1, 5, 6, 4))], output, opts)
        return (output,)

    return build


def pool(code: int, out: tuple[int, ...], **fields: Any) -> Build:
    def build(f: ForeignFile) -> tuple[int, ...]:
        named = {"padding": SAME, "strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 2} | fields
        return (same_scale(f, code, [f.input((1, 5, 6, 4))], out, options(schema.Pool2DOptionsT, **named)),)

    return build


def binary(code: int, kind: Any, other: tuple[int, ...], constant: bool, first: bool = False, **fields: Any) -> Build:
    """Return a network of one operator on an image and a tensor of another shape, a constant or an input."""

    def build(f: ForeignFile) -> tuple[int, ...]:
        x = f.input((1, 4, 5, 6))
        values = f.random.integers(-128, 128, other)
        y = f.tensor(other, 0.02, -7, values=values) if constant else f.input(other, 0.02, -7)
        output = f.tensor((1, 4, 5, 6), 0.045, 9)
        f.operator(code, [y, x] if first else [x, y], output, options(kind, **fields))
        return (output,)

    return build


def movement(
    code: int, shape: tuple[int, ...], *constants: Any, opts: Any = None, source: tuple[int, ...] = (1, 5, 6, 4)
) -> Build:
    """Return a network of a convolution and an operator that moves values, which edgekd reads channels first."""

    def build(f: ForeignFile) -> tuple[int, ...]:
        x = conv(f, f.input((1, 5, 6, 4)), (1, 5, 6, 4))
        inputs = [x, *(f.numbers(c) for c in constants)]
        return (same_scale(f, code, inputs, shape, opts),)

    return build


def stack(*layers: Callable[[ForeignFile, int], int], source: tuple[int, ...] = (1, 6, 6, 3)) -> Build:
    """Return a network of layers in a row."""

    def build(f: ForeignFile) -> tuple[int, ...]:
        x = f.input(source)
        for layer in layers:
            x = layer(f, x)
        return (x,)

    return build


def open_reshape(f: ForeignFile, x: int) -> int:
    """Add reshape(batch, -1) as converters write it if the batch size is open."""
    whole = f.tensor((4,), 0, dtype=np.int32)
    f.operator(Code.SHAPE, [x], whole, options(schema.ShapeOptionsT, outType=schema.TensorType.INT32))
    batch = f.tensor((), 0, dtype=np.int32)
    cut = options(schema.StridedSliceOptionsT, shrinkAxisMask=1)
    f.operator(Code.STRIDED_SLICE, [whole, f.numbers([0]), f.numbers([1]), f.numbers([1])], batch, cut)
    rest = f.tensor((), 0, dtype=np.int32, values=np.array(-1))
    target = f.tensor((2,), 0, dtype=np.int32)
    f.operator(Code.PACK, [batch, rest], target, options(schema.PackOptionsT, valuesCount=2))
    elements = int(np.prod(f.tensors[x].shape))
    return same_scale(f, Code.RESHAPE, [x, target], (1, elements))


def prelu(f: ForeignFile) -> tuple[int, ...]:
    slope = f.tensor((1, 1, 4), 0.01, 5, values=f.random.integers(-100, 120, (1, 1, 4)))
    output = f.tensor((1, 5, 6, 4), 0.04, 1)
    f.operator(Code.PRELU, [f.input((1, 5, 6, 4)), slope], output)
    return (output,)


def split_and_add(f: ForeignFile) -> tuple[int, ...]:
    x = conv(f, f.input((1, 5, 6, 4)), (1, 5, 6, 4))
    halves = [f.tensor((1, 5, 6, 2), 0.04, -5) for _ in range(2)]
    f.operator(Code.SPLIT, [f.numbers(3), x], halves, options(schema.SplitOptionsT, numSplits=2))
    output = f.tensor((1, 5, 6, 2), 0.05, 0)
    f.operator(Code.ADD, halves, output, options(schema.AddOptionsT))
    return (output,)


def unpack_and_pack(f: ForeignFile) -> tuple[int, ...]:
    x = f.input((1, 2, 6, 4))
    rows = [f.tensor((1, 6, 4), 0.05, 3) for _ in range(2)]
    f.operator(Code.UNPACK, [x], rows, options(schema.UnpackOptionsT, num=2, axis=1))
    return (same_scale(f, Code.PACK, rows[::-1], (1, 6, 2, 4), options(schema.PackOptionsT, valuesCount=2, axis=2)),)


def concat(f: ForeignFile) -> tuple[int, ...]:
    x = conv(f, f.input((1, 5, 6, 4)), (1, 5, 6, 4))
    y = f.tensor((1, 5, 6, 3), 0.04, -5)
    f.operator(Code.QUANTIZE, [f.input((1, 5, 6, 3), 0.07, 1)], y, options(schema.QuantizeOptionsT))
    joined = options(schema.ConcatenationOptionsT, axis=-1)
    return (same_scale(f, Code.CONCATENATION, [x, y], (1, 5, 6, 7), joined),)


def transposed_conv(size: int, kernel: int, stride: int, out: int, padding: int) -> Build:
    def build(f: ForeignFile) -> tuple[int, ...]:
        x, output = f.input((1, size, size, 3)), f.tensor((1, out, out, 4), 0.04, -5)
        fields = {"strideH": stride, "strideW": stride, "padding": padding}
        weight = f.weights((4, kernel, kernel, 3), 4)
        inputs = [f.numbers(1, out, out, 4), weight, x, f.bias(x, weight, 4)]
        f.operator(Code.TRANSPOSE_CONV, inputs, output, options(schema.TransposeConvOptionsT, **fields))
        return (output,)

    return build


def matmul(f: ForeignFile) -> tuple[int, ...]:
    output = f.tensor((1, 2, 5, 7), 0.06, 2)
    inputs = [f.input((1, 2, 5, 6)), f.input((1, 2, 7, 6), 0.03, 0)]
    f.operator(Code.BATCH_MATMUL, inputs, output, options(schema.BatchMatMulOptionsT, adjY=True))
    return (output,)


def embedding(f: ForeignFile) -> tuple[int, ...]:
    table = f.tensor((11, 6), 0.04, 1, values=f.random.integers(-128, 128, (11, 6)))
    rows = same_scale(
        f, Code.GATHER, [table, f.input((1, 7), 0, dtype=np.int32)], (1, 7, 6), options(schema.GatherOptionsT)
    )
    return (dense(f, rows, (1, 7, 5), 6, keepNumDims=True),)


def real_or_uint8_ends(dtype: Any) -> Build:
    """Return a network whose input and output are uint8 codes or real values."""

    def build(f: ForeignFile) -> tuple[int, ...]:
        scale, zero_point = (0, 0) if dtype == np.float32 else (0.05, 131)
        x, codes = f.input((1, 6, 6, 3), scale, zero_point, dtype), f.tensor((1, 6, 6, 3))
        f.operator(Code.QUANTIZE, [x], codes, options(schema.QuantizeOptionsT))
        y = conv(f, codes, (1, 6, 6, 4))
        output = f.tensor((1, 6, 6, 4), 0 if dtype == np.float32 else 0.04, 123, dtype)
        code = Code.DEQUANTIZE if dtype == np.float32 else Code.QUANTIZE
        f.operator(code, [y], output, None)
        return (output,)

    return build


def pad(amounts: Any, out: tuple[int, ...]) -> Callable[[ForeignFile, int], int]:
    return lambda f, x: same_scale(f, Code.PAD, [x, f.numbers(amounts)], out, options(schema.PadOptionsT))


def lowest_pad(f: ForeignFile, x: int) -> int:
    value = f.tensor((), 0.05, 3, values=np.array(-128))
    return same_scale(f, Code.PADV2, [x, f.numbers([[0, 0], [0, 1], [1, 0], [0, 0]]), value], (1, 7, 7, 3))


def max_pool(f: ForeignFile, x: int) -> int:
    fields = {"padding": VALID, "strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3}
    return same_scale(f, Code.MAX_POOL_2D, [x], (1, 3, 3, 3), options(schema.Pool2DOptionsT, **fields))


def reshape(*target: int, says: str = "tensor") -> Callable[[ForeignFile, int], int]:
    """Return a RESHAPE whose new shape is in a second input, in the options, or only in the output's shape."""

    def layer(f: ForeignFile, x: int) -> int:
        inputs = [x, f.numbers(list(target))] if says == "tensor" else [x]
        fields = {"newShape": np.array(target, np.int32)}
        opts = options(schema.ReshapeOptionsT, **fields) if says == "options" else None
        return same_scale(f, Code.RESHAPE, inputs, target, opts)

    return layer


def softmax(*shape: int, beta: float = 1.0) -> Callable[[ForeignFile, int], int]:
    def layer(f: ForeignFile, x: int) -> int:
        output = f.tensor(shape, SHARE, -128)
        f.operator(Code.SOFTMAX, [x], output, options(schema.SoftmaxOptionsT, beta=beta))
        return output

    return layer


def mean(shape: tuple[int, ...], axes: list[int], keep: bool) -> Build:
    def build(f: ForeignFile) -> tuple[int, ...]:
        output = f.tensor(shape, 0.03, 7)
        inputs = [f.input((1, 5, 6, 4)), f.numbers(axes)]
        f.operator(Code.MEAN, inputs, output, options(schema.ReducerOptionsT, keepDims=keep))
        return (output,)

    return build


CUT = schema.StridedSliceOptionsT
NETWORKS: dict[str, Build] = {
    "convolution without a bias": stack(lambda f, x: conv(f, x, (1, 3, 3, 5), bias=False, strideH=2, strideW=2)),
    "convolution with a scale for each channel": stack(lambda f, x: conv(f, x, (1, 6, 6, 5), channels=5)),
    "convolution with dilation": stack(lambda f, x: conv(f, x, (1, 6, 6, 5), dilationHFactor=2, dilationWFactor=2)),
    "convolution with relu6": stack(
        lambda f, x: conv(f, x, (1, 4, 4, 5), padding=VALID, fusedActivationFunction=RELU6)
    ),
    "depthwise with a multiplier": stack(lambda f, x: depthwise(f, x, (1, 6, 6, 6), 6, fusedActivationFunction=RELU)),
    "depthwise with one scale": stack(lambda f, x: depthwise(f, x, (1, 3, 3, 3), None, strideH=2, strideW=2)),
    "pad before a convolution": stack(
        pad([[0, 0], [0, 1], [0, 1], [0, 0]], (1, 7, 7, 3)),
        lambda f, x: conv(f, x, (1, 3, 3, 4), padding=VALID, strideH=2, strideW=2),
    ),
    "pad of channels": stack(pad([[0, 0], [0, 0], [1, 0], [2, 1]], (1, 6, 7, 6))),
    "pad with the lowest value before a maximum": stack(lowest_pad, max_pool),
    "average pool with relu": pool(Code.AVERAGE_POOL_2D, (1, 3, 3, 4), fusedActivationFunction=RELU),
    "maximum with relu6": pool(Code.MAX_POOL_2D, (1, 2, 3, 4), padding=VALID, fusedActivationFunction=RELU6),
    "linear layer on an image": stack(lambda f, x: dense(f, x, (1, 7), 108, bias=False, fusedActivationFunction=RELU)),
    "linear layer on a reshaped image": stack(
        lambda f, x: conv(f, x, (1, 6, 6, 4)), reshape(1, 144), lambda f, x: dense(f, x, (1, 7), 144)
    ),
    "reshape that says its shape nowhere": stack(
        lambda f, x: conv(f, x, (1, 6, 6, 4)), reshape(1, 144, says="output"), lambda f, x: dense(f, x, (1, 7), 144)
    ),
    "linear layer on rows, whose axes stay": stack(
        lambda f, x: dense(f, x, (1, 5, 7), 12, keepNumDims=True), source=(1, 5, 12)
    ),
    "linear layer on rows, whose batch goes": stack(
        lambda f, x: dense(f, x, (5, 7), 12), reshape(1, 5, 7, says="options"), source=(1, 5, 12)
    ),
    "reshape with an open batch": stack(
        lambda f, x: conv(f, x, (1, 6, 6, 4)), open_reshape, lambda f, x: dense(f, x, (1, 7), 144), softmax(1, 7)
    ),
    "mean over an image, kept": mean((1, 1, 1, 4), [1, 2], keep=True),
    "mean by negative axes": mean((1, 4), [-3, -2], keep=False),
    "mean over channels": mean((1, 5, 6), [3], keep=False),
    "add of a constant for each channel": binary(Code.ADD, schema.AddOptionsT, (6,), True),
    "add of a constant in front": binary(
        Code.ADD, schema.AddOptionsT, (1, 1, 1, 6), True, True, fusedActivationFunction=RELU
    ),
    "add of an input that is repeated": binary(Code.ADD, schema.AddOptionsT, (1, 1, 1, 6), False),
    "subtraction from a constant": binary(Code.SUB, schema.SubOptionsT, (6,), True, True),
    "product with a constant": binary(Code.MUL, schema.MulOptionsT, (1, 4, 5, 6), True, fusedActivationFunction=RELU6),
    "product with a number for each channel": binary(Code.MUL, schema.MulOptionsT, (1, 1, 1, 6), False),
    "split and add": split_and_add,
    "split by sizes": movement(Code.SLICE, (1, 5, 6, 2), [0, 0, 0, 1], [1, -1, 6, 2], opts=schema.SliceOptionsT()),
    "unpack and pack": unpack_and_pack,
    "concatenation along the last axis": concat,
    "slice with negative steps": movement(
        Code.STRIDED_SLICE, (1, 3, 6, 4), [0, -1, 0, 0], [1, -7, 6, 4], [1, -2, 1, 1], opts=options(CUT, beginMask=5)
    ),
    "slice that drops an axis": movement(
        Code.STRIDED_SLICE, (1, 6, 2), [0, 2, 0, 0], [0, 3, 0, 4], [1, 1, 1, 2],
        opts=options(CUT, beginMask=1, endMask=5, shrinkAxisMask=2),
    ),
    "transpose to channels first": movement(Code.TRANSPOSE, (1, 4, 5, 6), [0, 3, 1, 2]),
    "squeeze": stack(
        lambda f, x: same_scale(f, Code.SQUEEZE, [x], (1, 6, 3), options(schema.SqueezeOptionsT, squeezeDims=[1])),
        source=(1, 1, 6, 3),
    ),
    "rows become an image of height 1": stack(
        lambda f, x: same_scale(f, Code.EXPAND_DIMS, [x, f.numbers(1)], (1, 1, 9, 4)),
        lambda f, x: conv(f, x, (1, 1, 7, 5), (1, 3), padding=VALID),
        source=(1, 9, 4),
    ),
    "mirrored borders": movement(
        Code.MIRROR_PAD, (1, 8, 8, 4), [[0, 0], [2, 1], [1, 1], [0, 0]], opts=schema.MirrorPadOptionsT()
    ),
    "symmetric borders": movement(
        Code.MIRROR_PAD, (1, 8, 6, 4), [[0, 0], [2, 1], [0, 0], [0, 0]],
        opts=options(schema.MirrorPadOptionsT, mode=schema.MirrorPadMode.SYMMETRIC),
    ),
    "reversed columns": movement(Code.REVERSE_V2, (1, 5, 6, 4), [2]),
    "chosen columns": movement(Code.GATHER, (1, 5, 3, 4), [4, 0, 4], opts=options(schema.GatherOptionsT, axis=2)),
    "sigmoid": single(Code.LOGISTIC, (1, 5, 6, 4), SHARE, -128),
    "tanh": single(Code.TANH, (1, 5, 6, 4), UNIT, 0),
    "hard swish": single(Code.HARD_SWISH, (1, 5, 6, 4), 0.03, -100),
    "leaky relu": single(Code.LEAKY_RELU, (1, 5, 6, 4), 0.04, -60, options(schema.LeakyReluOptionsT, alpha=0.1)),
    "relu": single(Code.RELU, (1, 5, 6, 4), 0.05, 3),
    "relu6": single(Code.RELU6, (1, 5, 6, 4), 0.05, 3),
    "parametric relu whose slopes have a zero point": prelu,
    "requantization": single(Code.QUANTIZE, (1, 5, 6, 4), 0.021, -30),
    "bilinear resize": movement(
        Code.RESIZE_BILINEAR, (1, 9, 13, 4), [9, 13], opts=options(schema.ResizeBilinearOptionsT, halfPixelCenters=True)
    ),
    "bilinear resize that keeps the corners": movement(
        Code.RESIZE_BILINEAR, (1, 9, 13, 4), [9, 13], opts=options(schema.ResizeBilinearOptionsT, alignCorners=True)
    ),
    "nearest neighbours by no whole factor": movement(
        Code.RESIZE_NEAREST_NEIGHBOR, (1, 8, 15, 4), [8, 15], opts=schema.ResizeNearestNeighborOptionsT()
    ),
    "nearest neighbours from the middle of pixels": movement(
        Code.RESIZE_NEAREST_NEIGHBOR, (1, 8, 15, 4), [8, 15],
        opts=options(schema.ResizeNearestNeighborOptionsT, halfPixelCenters=True),
    ),
    "nearest neighbours that keep the corners": movement(
        Code.RESIZE_NEAREST_NEIGHBOR, (1, 8, 15, 4), [8, 15],
        opts=options(schema.ResizeNearestNeighborOptionsT, alignCorners=True),
    ),
    "transposed convolution, an odd row cut": transposed_conv(4, 3, 2, 8, SAME),
    "transposed convolution, whole": transposed_conv(4, 3, 2, 9, VALID),
    "product of matrices, one transposed": matmul,
    "softmax over rows": stack(softmax(1, 5, 7, beta=0.5), source=(1, 5, 7)),
    "embedding": embedding,
    "uint8 at both ends": real_or_uint8_ends(np.uint8),
    "real values at both ends": real_or_uint8_ends(np.float32),
}  # fmt: skip

"""The remedies for operators without a form in the graph, by torch.export's name: what to write instead of them."""

from collections.abc import Sequence

from edgekd.graph.capture.reader import Refusal

_TWO_AXES = "layers over two axes (nn.Conv2d, nn.MaxPool2d), with frames or slices stacked as channels"
_BATCH_NORM = "nn.BatchNorm2d: it is folded into the layer before it and costs nothing on the device"
_ACTIVATION = (
    "nn.ReLU or nn.ReLU6, which cost nothing; nn.Hardswish, nn.SiLU, nn.GELU, nn.ELU and nn.Softplus are tables"
)
_AFTER = "leave it out of forward, and apply it to the logits where they are read"
_BEFORE = "compute it before the network, and pass the values in as its input"
_POOL = "nn.MaxPool2d over space, nn.AdaptiveAvgPool2d(1), or a mean"
_MASK = "multiply by a mask that is an input of the model"
_PARTS = "torch.cat of the parts, or a product with a stored mask, in place of writing into a tensor"
_ROUNDING = "leave it out: the int8 graph rounds by itself"

INSTEAD: dict[str, str] = {
    "conv3d": _TWO_AXES,
    "conv_transpose3d": _TWO_AXES,
    "max_pool3d": _TWO_AXES,
    "avg_pool3d": _TWO_AXES,
    "adaptive_avg_pool3d": _TWO_AXES,
    "adaptive_max_pool1d": "nn.MaxPool1d with a fixed kernel, or nn.AdaptiveAvgPool1d(1)",
    "adaptive_max_pool2d": "nn.MaxPool2d with a fixed kernel, or nn.AdaptiveAvgPool2d(1)",
    "max_pool2d_with_indices": "nn.MaxPool2d without return_indices, and nn.Upsample on the way up",
    "max_unpool2d": "nn.Upsample or nn.ConvTranspose2d",
    "im2col": "nn.Conv2d, which looks at patches by itself",
    "instance_norm": f"{_BATCH_NORM}; or nn.GroupNorm(channels, channels)",
    "rms_norm": "nn.LayerNorm, or nn.BatchNorm2d behind convolutions",
    "linalg_vector_norm": "nn.BatchNorm1d in place of F.normalize",
    "var": _BATCH_NORM,
    "std": _BATCH_NORM,
    "rsqrt": _BATCH_NORM,
    "selu": _ACTIVATION,
    "celu": _ACTIVATION,
    "hardshrink": _ACTIVATION,
    "softshrink": _ACTIVATION,
    "threshold": _ACTIVATION,
    "rrelu": "nn.LeakyReLU",
    "log_sigmoid": "nn.Sigmoid; the logarithm belongs into the loss",
    "glu": "two layers, one of them with nn.Sigmoid, and their product",
    "log_softmax": _AFTER,
    "logsumexp": _AFTER,
    "argmax": _AFTER,
    "topk": _AFTER,
    "sort": _AFTER,
    "einsum": "torch.matmul, with permute and reshape around it",
    "cdist": "nn.Linear or torch.matmul: products rank as distances do",
    "bilinear": "nn.Linear on torch.cat of both inputs",
    "exp": "nn.Softmax, nn.Sigmoid or nn.ELU, where it stands for one of them",
    "log": _BEFORE,
    "sqrt": _BEFORE,
    "sin": _BEFORE,
    "cos": _BEFORE,
    "fft_fft": _BEFORE,
    "fft_rfft": _BEFORE,
    "stft": _BEFORE,
    "view_as_complex": "real and imaginary parts as two channels",
    "abs": "F.relu(x) + F.relu(-x)",
    "erf": "nn.GELU",
    "maximum": "a + F.relu(b - a)",
    "minimum": "a - F.relu(a - b)",
    "max": _POOL,
    "amax": _POOL,
    "min": _POOL,
    "amin": _POOL,
    "sum": "a mean over the same axes, or nn.Conv2d with a kernel of 1 over channels",
    "prod": "products of two tensors",
    "cumsum": "nn.Linear or nn.Conv1d along that axis",
    "sign": "nn.Hardtanh or nn.Tanh",
    "round": _ROUNDING,
    "floor": _ROUNDING,
    "ceil": _ROUNDING,
    "where": _MASK,
    "masked_fill": _MASK,
    "gt": _MASK,
    "lt": _MASK,
    "ge": _MASK,
    "le": _MASK,
    "eq": _MASK,
    "ne": _MASK,
    "fill": _PARTS,
    "copy": _PARTS,
    "item": "keep it a tensor: x.mean((2, 3), keepdim=True), say",
    "tril": _MASK,
    "triu": _MASK,
    "gather": "indexing by stored positions, x[:, [0, 2]]",
    "grid_sampler": "nn.Upsample, or warp the image before the network",
    "upsample_bicubic2d": 'mode = "bilinear" or "nearest"',
    "rnn_tanh_cell": "nn.RNN, which is unrolled over its steps",
    "gru_cell": "nn.GRU, which is unrolled over its steps",
    "lstm_cell": "nn.LSTM, which is unrolled over its steps",
    "rand_like": "nn.Dropout, which does nothing in evaluation mode",
    "randn_like": "nn.Dropout, which does nothing in evaluation mode",
}
"""The remedies for operators that have no form at all."""

WITHIN: dict[str, str] = {
    "adaptive_avg_pool1d": "an output size that divides the input's, or nn.AvgPool1d with a fixed kernel",
    "adaptive_avg_pool2d": "an output size that divides the input's, or nn.AvgPool2d with a fixed kernel",
    "avg_pool2d": "nn.AvgPool2d without divisor_override",
    "max_pool2d": "nn.MaxPool2d without dilation, or a convolution with dilation",
    "conv_transpose2d": "nn.Upsample and nn.Conv2d, or nn.ConvTranspose2d with other padding and no dilation",
    "batch_norm": "nn.BatchNorm2d with track_running_stats = True",
    "clamp": "nn.ReLU, nn.ReLU6, or both ends",
    "mean": "a mean over axes behind the batch",
    "div": "a division by a number or by stored values; others as a product",
    "pow": "products: x * x * x",
    "pad": "padding with a number: nn.ZeroPad2d, or the convolution's own",
    "reshape": "shapes that keep the batch first: x.flatten(1), x.reshape(len(x), -1)",
    "view": "shapes that keep the batch first: x.flatten(1), x.view(len(x), -1)",
    "slice": "slices of axes behind the batch",
    "index": "indices that are stored, along one axis at a time",
    "add": "operands of one rank, of which one has the shape of the result",
    "mul": "operands of one rank, of which one has the shape of the result",
    "elu": "nn.ELU",
    "softplus": "nn.Softplus with beta = 1",
    "softmax": "nn.Softmax over the last axis: permute its input",
    "layer_norm": "nn.LayerNorm over the last axis alone",
    "scaled_dot_product_attention": "attention without a mask, with as many heads in keys and values as in queries",
    "gru": "nn.GRU with batch_first = True, in one direction, of which the outputs are read",
    "lstm": "nn.LSTM with batch_first = True, in one direction, of which the outputs are read",
    "upsample_bilinear2d": "a size in whole pixels",
    "embedding": "indices that are an input of the model",
}
"""The remedies for operators that have a form with other settings."""

ANYTHING = (
    "convolutions, linear layers, pools, sums, products, activations, attention and moves of values have forms; "
    "compute what else there is outside the network"
)


def instead(refusals: Sequence[Refusal]) -> str:
    """The remedy for refused operators: what to write instead of each kind."""
    remedies = {refusal.operator: _one(refusal.operator) for refusal in refusals}
    if len(remedies) == 1:
        return next(iter(remedies.values()))
    return "; ".join(f"for {kind}: {remedy}" for kind, remedy in remedies.items())


def _one(kind: str) -> str:
    return INSTEAD.get(kind) or WITHIN.get(kind) or ANYTHING

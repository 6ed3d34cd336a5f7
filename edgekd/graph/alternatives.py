"""What to write instead of an operator that has no form in the graph, by torch.export's name for it."""

from collections.abc import Iterable, Sequence

from edgekd.errors import nearest
from edgekd.graph.reader import Refused

_BATCH_NORM = "nn.BatchNorm2d: it is folded into the convolution before it and costs nothing on the device"
_LINEAR_UNIT = "nn.ReLU or nn.ReLU6, which cost nothing; of the smooth ones nn.Hardswish and nn.SiLU have tables"
_TWO_AXES = "two-axis layers (nn.Conv2d, nn.MaxPool2d) on frames stacked as channels"
_WHOLE_CHANNELS = "slices, torch.cat or torch.split of whole channels"
_LAST = "take it out of forward, and apply it to the logits where they are read"
_UNROLLED = 'nn.GRU or nn.LSTM, which are unrolled, or convolutions over time (model = "conv1d")'

INSTEAD: dict[str, str] = {
    # convolutions and pools of other ranks
    "conv3d": _TWO_AXES,
    "conv_transpose3d": _TWO_AXES,
    "max_pool3d": _TWO_AXES,
    "avg_pool3d": _TWO_AXES,
    "adaptive_avg_pool3d": _TWO_AXES,
    "adaptive_max_pool2d": "nn.MaxPool2d with a fixed kernel, or nn.AdaptiveAvgPool2d(1)",
    "adaptive_max_pool1d": "nn.MaxPool1d with a fixed kernel, or nn.AdaptiveAvgPool1d(1)",
    "max_pool2d_with_indices": "nn.MaxPool2d without return_indices, and nn.Upsample or nn.ConvTranspose2d on the way up",
    "max_unpool2d": "nn.Upsample or nn.ConvTranspose2d",
    "im2col": "nn.Conv2d, which looks at patches by itself",
    "_weight_norm": 'torch.nn.utils.parametrize.remove_parametrizations(layer, "weight") once it is trained',
    # normalisation
    "group_norm": _BATCH_NORM,
    "instance_norm": _BATCH_NORM,
    "rms_norm": "nn.LayerNorm in transformers, nn.BatchNorm2d after convolutions",
    "linalg_vector_norm": "nn.BatchNorm1d in place of F.normalize",
    "var": _BATCH_NORM,
    "std": _BATCH_NORM,
    # activations
    "softplus": _LINEAR_UNIT,
    "mish": _LINEAR_UNIT,
    "selu": _LINEAR_UNIT,
    "celu": _LINEAR_UNIT,
    "rrelu": "nn.LeakyReLU",
    "hardshrink": _LINEAR_UNIT,
    "softshrink": _LINEAR_UNIT,
    "threshold": _LINEAR_UNIT,
    "log_sigmoid": "nn.Sigmoid; the logarithm belongs into the loss",
    "glu": "a convolution for the values and one with nn.Sigmoid for the gate, multiplied",
    "log_softmax": _LAST,
    "logsumexp": _LAST,
    "argmax": _LAST,
    "topk": _LAST,
    "sort": _LAST,
    # arithmetic
    "einsum": "torch.matmul, with permute and reshape around it",
    "cdist": "torch.matmul: the logits of a linear layer rank as well as distances",
    "bilinear": "nn.Linear on torch.cat of both inputs",
    "div": "a multiplication; divide constants before the network, or let a batch norm learn the scale",
    "pow": "x * x for a square; other powers before the network",
    "square": "x * x",
    "exp": "nn.Softmax or nn.Sigmoid, where it is one of them written out",
    "log": "logarithms of the inputs before the network",
    "sqrt": "square roots of the inputs before the network",
    "rsqrt": _BATCH_NORM,
    "abs": "nn.ReLU: |x| = relu(x) + relu(-x)",
    "neg": "torch.sub, or a weight of the other sign in the layer before",
    "sin": "values computed before the network, and passed in as an input",
    "cos": "values computed before the network, and passed in as an input",
    "erf": "nn.GELU",
    "maximum": "nn.ReLU: max(a, b) = a + relu(b - a)",
    "minimum": "nn.ReLU: min(a, b) = a - relu(a - b)",
    "max": "nn.MaxPool2d over space, or nn.AdaptiveAvgPool2d(1)",
    "amax": "nn.MaxPool2d over space, or nn.AdaptiveAvgPool2d(1)",
    "min": "nn.MaxPool2d of values of the other sign",
    "amin": "nn.MaxPool2d of values of the other sign",
    "sum": "mean over height and width, or a 1x1 convolution over channels",
    "prod": "a multiplication of two tensors",
    "cumsum": "nn.Conv1d, or nn.Linear along that axis",
    "round": "leave it out: the quantised graph rounds by itself",
    "floor": "leave it out: the quantised graph rounds by itself",
    "sign": "nn.Hardtanh, or nn.Tanh",
    "where": "a multiplication by a mask that is an input, or nn.ReLU",
    "masked_fill": "a multiplication by a mask that is an input",
    # movement
    "grid_sampler": "nn.Upsample, or warp the image before the network",
    "upsample_bicubic2d": 'mode = "bilinear" or "nearest"',
    "index": _WHOLE_CHANNELS,
    "index_select": _WHOLE_CHANNELS,
    "gather": _WHOLE_CHANNELS,
    "roll": "two slices and torch.cat",
    "flip": "flip the inputs before the network",
    "channel_shuffle": "a 1x1 convolution, which mixes all channels",
    "pixel_shuffle": "nn.ConvTranspose2d with kernel_size = stride",
    "pixel_unshuffle": "nn.Conv2d with kernel_size = stride",
    "repeat_interleave": "nn.Upsample over space, torch.cat over channels",
    "repeat": "torch.cat of the same tensor",
    "tril": "a mask that is an input",
    "triu": "a mask that is an input",
    # signals and time
    "fft_fft": "spectra computed before the network (MFCCs, say), as its input",
    "fft_rfft": "spectra computed before the network (MFCCs, say), as its input",
    "stft": "spectra computed before the network (MFCCs, say), as its input",
    "view_as_complex": "real and imaginary parts as two channels",
    "rnn_tanh": _UNROLLED,
    "rnn_relu": _UNROLLED,
    "rand_like": "nn.Dropout, which is silent in evaluation mode",
    "randn_like": "nn.Dropout, which is silent in evaluation mode",
    "item": "keep it a tensor: torch.mean(x) instead of float(torch.mean(x))",
}
"""Operators that have no form at all."""

WITHIN: dict[str, str] = {
    "adaptive_avg_pool2d": "an output size that divides the input's, or nn.AvgPool2d with a fixed kernel",
    "adaptive_avg_pool1d": "an output size that divides the input's, or nn.AvgPool1d with a fixed kernel",
    "avg_pool2d": "nn.AvgPool2d without divisor_override",
    "max_pool2d": "nn.MaxPool2d without dilation",
    "batch_norm": "track_running_stats = True, and a training that lets it see data",
    "clamp": "nn.ReLU or nn.ReLU6",
    "hardtanh": "nn.ReLU or nn.ReLU6",
    "mean": "a mean over axes behind the batch",
    "pad": "padding with zeros: nn.ZeroPad2d, or the convolution's own",
    "reshape": "shapes that keep the batch first: x.flatten(1), x.reshape(len(x), ...)",
    "view": "shapes that keep the batch first: x.flatten(1), x.view(len(x), ...)",
    "slice": "slices of axes behind the batch",
    "add": "operands of one shape, or of shapes that broadcast within a sample",
}
"""Operators that have a form, in another setting."""


def instead(refused: Sequence[Refused], known: Iterable[str]) -> str:
    """The remedy for operators that were refused: what to write in the place of each kind of them.

    Args:
        known: torch's operators that have a form.
    """
    known = sorted(known)
    remedies = {found.operator: _one(found.operator, known) for found in refused}
    if len(remedies) == 1:
        return next(iter(remedies.values()))
    return "; ".join(f"for {kind}: {remedy}" for kind, remedy in remedies.items())


def _one(kind: str, known: list[str]) -> str:
    if found := INSTEAD.get(kind) or WITHIN.get(kind):
        return found
    if close := nearest(kind, known):
        return f"{close}, or another of: {', '.join(known)}"
    return f"one of these: {', '.join(known)}"

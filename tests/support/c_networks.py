"""Gives the tests of C whole networks, from the catalog and others, in both roundings of the C code."""

from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd import catalog
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph, Kernels
from edgekd.models.text_encoder import TextEncoder
from edgekd.models.unet import UPSAMPLINGS, UNet
from support.networks import Everything, lived_in, quantized

ROUNDINGS: tuple[Kernels, ...] = ("tflm", "xnnpack")
FROM_CATALOG: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("mlp", {"input_shape": (1, 8, 8)}),
    "resnet8": ("resnet8", {"input_shape": (3, 16, 16), "width": 8}),
    "dscnn": ("dscnn", {"input_shape": (1, 49, 10), "width": 16}),
    "mobilenetv2": ("mobilenetv2", {"input_shape": (3, 32, 32), "width": 0.25}),
    "conv1d": ("conv1d", {"input_shape": (3, 40), "width": 8}),
    "gru": ("gru_keyword", {"input_shape": (6, 5), "hidden": 8}),
    "lstm": ("gru_keyword", {"input_shape": (6, 5), "hidden": 8, "cell": "lstm"}),
}
OTHERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "every operator of images": (Everything(), (3, 16, 16)),
    **{f"unet, {way}": (UNet(2, (1, 8, 8), 2, 2, way), (1, 8, 8)) for way in UPSAMPLINGS},
}
TOKENS = torch.full((12,), 29, dtype=torch.int32)


NAMES = (*FROM_CATALOG, *OTHERS, "text encoder")


def network(name: str, kernels: Kernels) -> tuple[Graph, tuple[np.ndarray, ...]]:
    """Return (int8 graph, input codes) of a network whose weights look trained."""
    if name == "text encoder":
        torch.manual_seed(0)
        model = TextEncoder(3, (12,), vocabulary=30, width=16, heads=2, layers=1, hidden=24)
        return quantized(capture(model.eval(), TOKENS), TOKENS, samples=6, kernels=kernels)[1:]
    if name in OTHERS:
        model, shape = OTHERS[name]
    else:
        entry, options = FROM_CATALOG[name]
        model, shape = catalog.load("model", entry)(classes=5, **options), options["input_shape"]
    return quantized(lived_in(model, shape), shape, samples=6, kernels=kernels)[1:]

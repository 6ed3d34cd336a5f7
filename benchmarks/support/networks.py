"""The networks for claims/exactness.py, from the catalog, with random weights, batch norm statistics and inputs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd import catalog
from edgekd.models.autoencoder import Autoencoder
from edgekd.models.unet import UNet

STATISTICS_BATCHES, STATISTICS_BATCH_SIZE = 8, 32
COARSEST = 4
"""The side of the coarsest pattern in the images, in pixels."""


@dataclass(frozen=True)
class Network:
    """A network and its random inputs.

    Attributes:
        shape: the shape of an input without the batch.
        build: builds the untrained network.
        vocabulary: the number of tokens; 0 if the inputs are real values.
    """

    shape: tuple[int, ...]
    build: Callable[[], nn.Module]
    vocabulary: int = 0

    def inputs(self, count: int, seed: int) -> Tensor:
        """Return inputs (count, *shape): patterns of all scales, of random contrast and level; or tokens."""
        chance = np.random.default_rng(seed)
        if self.vocabulary:
            return torch.from_numpy(chance.integers(0, self.vocabulary, (count, *self.shape), dtype=np.int32))
        x = torch.from_numpy(chance.normal(size=(count, *self.shape)).astype(np.float32))
        if len(self.shape) == 3:
            channels, *sides = self.shape
            coarse = chance.normal(size=(count, channels, COARSEST, COARSEST)).astype(np.float32)
            x = 0.3 * x + F.interpolate(torch.from_numpy(coarse), size=sides, mode="bilinear")
        scalar_shape = (count, *[1] * len(self.shape))
        strength, level = chance.uniform(0.2, 2.0, scalar_shape), chance.normal(scale=0.5, size=scalar_shape)
        return x * torch.from_numpy(strength.astype(np.float32)) + torch.from_numpy(level.astype(np.float32))

    def with_statistics(self, seed: int = 0) -> nn.Module:
        """Return the network in evaluation mode, with channels of different scales and batch norm statistics."""
        torch.manual_seed(seed)
        model = self.build()
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.data *= 0.5 + torch.rand(len(parameter), *[1] * (parameter.dim() - 1))
            elif name.endswith("bias"):
                parameter.data += 0.1 * torch.randn(len(parameter))
        norms = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
        for norm in norms:
            norm.momentum = None  # the mean over all batches
        model.train()
        with torch.no_grad():
            for number in range(STATISTICS_BATCHES):
                model(self.inputs(STATISTICS_BATCH_SIZE, seed=1000 + number))
        return model.eval()


@dataclass(frozen=True)
class FromCatalog:
    """A network of the catalog, by name and options."""

    name: str
    shape: tuple[int, ...]
    classes: int = 10
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self) -> nn.Module:
        model: nn.Module = catalog.load("model", self.name)(
            classes=self.classes, input_shape=self.shape, **self.options
        )
        return model


def _from_catalog(name: str, shape: tuple[int, ...], classes: int = 10, **options: Any) -> Network:
    return Network(shape, FromCatalog(name, shape, classes, options))


CIFAR, LARGE, SENTENCE = (3, 32, 32), (3, 224, 224), (32,)
VOCABULARY = 2000
NETWORKS = {
    "mobilenetv2": _from_catalog("mobilenetv2", CIFAR, width=0.35),
    "mobilenetv3": _from_catalog("mobilenetv3", CIFAR, width=0.5),
    "resnet8": _from_catalog("resnet8", CIFAR),
    "resnet20": _from_catalog("resnet20", CIFAR),
    "dscnn": _from_catalog("dscnn", (1, 49, 10), classes=12),
    "autoencoder": Network((640,), Autoencoder),
    "conv1d": _from_catalog("conv1d", (3, 128), classes=6),
    "unet nearest": Network(CIFAR, partial(UNet, 4, CIFAR, upsampling="nearest")),
    "unet bilinear": Network(CIFAR, partial(UNet, 4, CIFAR, upsampling="bilinear")),
    "unet transposed": Network(CIFAR, partial(UNet, 4, CIFAR, upsampling="transposed")),
    "squeezenet": _from_catalog("squeezenet", CIFAR, width=0.5),
    "efficientnet_lite": _from_catalog("efficientnet_lite", CIFAR, width=0.35),
    "text_encoder": Network(
        SENTENCE, FromCatalog("text_encoder", SENTENCE, 2, {"vocabulary": VOCABULARY, "layers": 2}), VOCABULARY
    ),
    "gru_keyword": _from_catalog("gru_keyword", (49, 10), classes=12),
    "lstm_keyword": _from_catalog("gru_keyword", (49, 10), classes=12, cell="lstm"),
}
"""The networks that issue 4 names."""
LARGE_NETWORKS = {"mobilenetv2 at 224": _from_catalog("mobilenetv2", LARGE, classes=1000)}
"""The networks for the time of writing and capturing."""

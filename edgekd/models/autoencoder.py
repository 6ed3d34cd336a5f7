"""The anomaly detector of MLPerf Tiny (Banbury et al., 2021; Koizumi et al., 2020): an autoencoder of linear layers.

Its outputs reconstruct its inputs and are no logits; so it is captured and exported like any network, but is no student
of the pipeline, whose tasks have one answer a sample.
"""

from itertools import pairwise

from torch import Tensor, nn

from edgekd.models.parts import he_init, positive


class Autoencoder(nn.Module):
    """640 values (5 frames of 128 mel bands) down to 8 and up again, batch norm and ReLU on all but the last layer.

    Differs from the reference (mlcommons/tiny, anomaly_detection): no bias before a batch norm.

    Args:
        inputs: number of values of a window.
        width: width of each of the four layers on either side.
        bottleneck: width of the layer in the middle.
    """

    def __init__(self, inputs: int = 640, width: int = 128, bottleneck: int = 8) -> None:
        super().__init__()
        positive("autoencoder", inputs=inputs, width=width, bottleneck=bottleneck)
        layers: list[nn.Module] = []
        for before, after in pairwise((inputs, *[width] * 4, bottleneck, *[width] * 4)):
            layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, inputs))
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct inputs, (N, inputs)."""
        reconstruction: Tensor = self.layers(x)
        return reconstruction

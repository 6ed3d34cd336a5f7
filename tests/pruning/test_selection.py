"""The narrowest form of a network, which `edgekd check` compares with the limits, and channels a cut restores."""

import torch
from torch import nn

from edgekd.models.resnet8 import ResNet8
from edgekd.pruning.selection import narrowest
from edgekd.pruning.widths import restored_channels


def test_every_layer_of_the_narrowest_form_has_one_multiple_of_channels() -> None:
    model = ResNet8(classes=3, input_shape=(1, 16, 16), width=16)
    narrow = narrowest(model, (1, 16, 16), channel_multiple=4)
    widths = {layer.out_channels for layer in narrow.modules() if isinstance(layer, nn.Conv2d)}
    assert widths == {4}
    assert narrow.eval()(torch.zeros(2, 1, 16, 16)).shape == (2, 3)
    assert sum(p.numel() for p in model.parameters()) > 20 * sum(p.numel() for p in narrow.parameters())


def test_what_rounding_took_too_much_is_given_back():
    def enough(gone):
        return sum(gone) >= 9

    assert restored_channels([8, 8], [0, 1], 4, enough) == [8, 4]  # the last one to lose a channel is asked first
    assert restored_channels([8, 3], [0, 1], 4, enough) == [8, 3]
    assert restored_channels([8, 3], [1, 0], 4, lambda gone: gone[0] >= 0) == [0, 0]

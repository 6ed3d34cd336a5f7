"""Tests of the catalog's networks against their papers: sizes, inner shapes, and what they refuse."""

from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd import catalog
from edgekd.errors import ModelError
from edgekd.models.autoencoder import Autoencoder
from edgekd.models.conv1d import Conv1d
from edgekd.models.dscnn import DSCNN
from edgekd.models.efficientnet_lite import EfficientNetLite
from edgekd.models.inverted import SqueezeExcite, make_divisible
from edgekd.models.mlp import MLP
from edgekd.models.mobilenetv2 import MobileNetV2
from edgekd.models.mobilenetv3 import MobileNetV3
from edgekd.models.resnet8 import ResNet8
from edgekd.models.resnet_cifar import PadShortcut, resnet20, resnet56
from edgekd.models.squeezenet import SqueezeNet
from edgekd.models.unet import UPSAMPLINGS, UNet
from edgekd.nn.checkpoint import load_checkpoint
from edgekd.pruning.groups import find

CIFAR = (3, 32, 32)
CHECKPOINTS = Path(__file__).parents[3] / "shared" / "models" / "resnet_cifar10"


def parameters(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def test_resnet8_has_the_parameters_of_mlperf_tiny_without_biases_before_batch_norm():
    assert parameters(ResNet8(10, CIFAR)) == 77_946


def test_cifar_resnets_have_the_parameters_of_the_paper():
    assert parameters(resnet20(10, CIFAR)) == 269_722  # "0.27 M" in table 6
    assert parameters(resnet56(10, CIFAR)) == 853_018  # "0.85 M"


def test_cifar_resnets_have_as_many_layers_as_their_name_says():
    for name in ("resnet20", "resnet32", "resnet44", "resnet56"):
        layers = catalog.load("model", name)(10, CIFAR).modules()
        assert sum(isinstance(layer, (nn.Conv2d, nn.Linear)) for layer in layers) == int(name.removeprefix("resnet"))


def test_mobilenetv2_has_the_parameters_of_the_paper():
    with torch.device("meta"):
        assert parameters(MobileNetV2(1000, (3, 224, 224))) == 3_504_872  # "3.4 M" in table 4


def test_networks_for_photographs_have_the_parameters_of_their_authors_code():
    large = (3, 224, 224)
    with torch.device("meta"):
        assert parameters(MobileNetV3(1000, large)) == 2_542_856  # "2.5 M" in table 3 of the paper
        assert parameters(EfficientNetLite(1000, large)) == 4_652_008
        assert parameters(SqueezeNet(1000, large, batch_norm=False)) == 1_235_496


def test_the_autoencoder_has_the_parameters_of_mlperf_tiny_without_biases_before_batch_norm():
    assert parameters(Autoencoder()) == 267_928 - (8 * 128 + 8)


def test_squeeze_and_excite_scales_each_channel_by_one_number():
    torch.manual_seed(0)
    x = torch.rand(2, 8, 5, 5) + 1
    ratio = SqueezeExcite(8, 4)(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert (ratio[:, :, 0, 0].std(1) > 0).all()


def test_deeper_efficientnets_have_more_blocks_in_all_stages_but_the_first_and_the_last():
    with torch.device("meta"):
        shallow, deep = (len(EfficientNetLite(10, CIFAR, depth=depth).blocks) for depth in (1.0, 2.0))
    assert (shallow, deep) == (16, 2 * 14 + 2)


def test_a_unet_says_a_class_for_each_pixel_by_any_upsampling():
    for upsampling in UPSAMPLINGS:
        assert UNet(4, (1, 16, 24), width=2, depth=2, upsampling=upsampling)(torch.zeros(2, 1, 16, 24)).shape == (
            2, 4, 16, 24,
        )  # fmt: skip


def test_conv1d_keeps_or_pools_the_length_of_a_window():
    for pool, length in ((1, 100), (2, 25)):
        model = Conv1d(6, (3, 100), pool=pool)
        assert model.blocks(torch.zeros(2, 3, 100)).shape == (2, 32, length)


def test_dscnn_sees_25_by_5_positions_of_a_49_by_10_spectrogram():
    model = DSCNN(12, (1, 49, 10))
    assert model.conv(torch.zeros(1, 1, 49, 10)).shape == (1, 64, 25, 5)
    convolutions = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d))
    assert convolutions == 10 * 4 * 64 + 4 * (9 * 64 + 64 * 64)


def test_the_pad_shortcut_keeps_every_other_pixel_and_centres_the_old_channels():
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    y = PadShortcut(2, 4, 2)(x)
    assert y.shape == (1, 4, 2, 2)
    torch.testing.assert_close(y[:, 1:3], x[:, :, ::2, ::2])
    assert not y[:, 0].any()
    assert not y[:, 3].any()


def test_projected_shortcuts_go_on_from_padded_ones_and_let_every_layer_be_cut(tmp_path):
    padded = resnet20(10, CIFAR, width=4).eval()
    torch.save(padded.state_dict(), tmp_path / "padded.pt")
    projected = resnet20(10, CIFAR, shortcut="project", width=4)
    assert load_checkpoint(projected, tmp_path / "padded.pt") == [
        "2 shortcuts start as the zero padding that they replace"
    ]
    x = torch.randn(2, *CIFAR)
    torch.testing.assert_close(projected.eval()(x), padded(x))
    assert len(find(padded, CIFAR).groups) == 9
    assert len(find(projected, CIFAR).groups) == 9 + 3
    torch.save(projected.state_dict(), tmp_path / "projected.pt")
    assert load_checkpoint(resnet20(10, CIFAR, shortcut="project", width=4), tmp_path / "projected.pt") == []


def test_the_conv_shortcut_has_weights_of_its_own():
    assert parameters(resnet20(10, CIFAR, shortcut="conv")) == 269_722 + (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)


def test_width_multiplies_every_stage():
    assert resnet20(10, CIFAR, width=8).linear.in_features == 32
    assert ResNet8(10, CIFAR, width=4).linear.in_features == 16
    assert DSCNN(4, (1, 49, 10), width=24).linear.in_features == 24
    narrow = MobileNetV2(10, CIFAR, width=0.35)
    assert narrow.stem[0].out_channels == 16
    assert narrow.linear.in_features == 1280


def test_channels_are_rounded_to_eight_but_never_by_more_than_a_tenth():
    assert [make_divisible(n) for n in (3, 8, 11, 12, 33.6, 100)] == [8, 8, 16, 16, 32, 104]


@pytest.mark.parametrize("network", [MobileNetV2, MobileNetV3, EfficientNetLite])
def test_networks_for_photographs_halve_small_images_three_times_and_large_ones_five(network):
    features = {}
    for side in (32, 96):
        with torch.device("meta"):
            model = network(10, (3, side, side)).eval()
            features[side] = model.blocks(model.stem(torch.zeros(1, 3, side, side))).shape[-1]
    assert features == {32: 4, 96: 3}


def test_an_mlp_flattens_inputs_of_any_shape():
    assert MLP(3, (2, 5, 7), hidden=[4])(torch.zeros(2, 2, 5, 7)).shape == (2, 3)
    assert parameters(MLP(3, (10,), hidden=())) == 33


def test_first_weights_have_the_variance_of_he():
    weight = ResNet8(10, CIFAR, width=64).block3.conv2.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("name", "options", "shape", "message"),
    [
        ("resnet8", {}, (64,), "images"),
        ("resnet20", {}, (3, 2, 32), "at least 4x4"),
        ("mobilenetv2", {}, (3, 3, 3), "at least 4x4"),
        ("dscnn", {}, (49, 10), "images"),
        ("dscnn", {"stem": [3]}, (1, 49, 10), "stem"),
        ("resnet20", {"shortcut": "none"}, CIFAR, "shortcut"),
        ("resnet8", {"width": 0}, CIFAR, "width"),
        ("mobilenetv2", {"width": 0}, CIFAR, "width"),
        ("mobilenetv3", {"width": 0}, CIFAR, "width"),
        ("efficientnet_lite", {"depth": 0}, CIFAR, "depth"),
        ("squeezenet", {}, (3, 6, 6), "at least 7x7"),
        ("squeezenet", {"small": False}, (3, 30, 30), "at least 31x31"),
        ("conv1d", {}, CIFAR, "windows"),
        ("conv1d", {"pool": 4}, (3, 15), "pooled"),
        ("edgekd.models.unet:UNet", {}, (3, 20, 32), "halved"),
        ("edgekd.models.unet:UNet", {"upsampling": "cubic"}, CIFAR, "cubic"),
        ("mlp", {"activation": "gelu"}, (4,), "gelu"),
        ("mlp", {"hidden": [8, 0]}, (4,), r"hidden\[1\]"),
        ("mlp", {}, (), "shape"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_remedy(name, options, shape, message):
    with pytest.raises(ModelError, match=message) as caught:
        catalog.load("model", name)(classes=10, input_shape=shape, **options)
    assert caught.value.remedy


@pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="no ../shared/models/resnet_cifar10 beside this checkout")
@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnet44", "resnet56"])
def test_the_public_checkpoints_load_key_by_key(name):
    file = next(CHECKPOINTS.glob(f"{name}-*.th"))
    weights = torch.load(file, weights_only=True, map_location="cpu")["state_dict"]
    model = catalog.load("model", name)(10, CIFAR)
    model.load_state_dict({key.removeprefix("module."): value for key, value in weights.items()}, strict=True)

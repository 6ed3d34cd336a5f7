"""Tests that a refusal names the layer, the operator and the line, and proposes code that can be captured."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.graph.capture import attempt, capture
from edgekd.graph.capture.alternatives import ANYTHING, INSTEAD, WITHIN, instead
from edgekd.graph.capture.lowerings import LOWERINGS
from edgekd.graph.capture.reader import Refusal


class Awkward(nn.Module):
    """A module with several operators that the graph has no form for."""

    def __init__(self) -> None:
        super().__init__()
        self.space = nn.Conv3d(1, 2, 3, padding=1)
        self.instances, self.roots = nn.InstanceNorm2d(4), nn.RMSNorm(8)
        self.odd, self.largest = nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(2)
        self.selu, self.cubic = nn.SELU(), nn.Upsample(scale_factor=2, mode="bicubic")

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (
            self.space(x[:, None]),
            self.instances(x),
            self.roots(x),
            self.odd(x),
            self.largest(x),
            self.selu(x),
            self.cubic(x),
            torch.einsum("bchw,bkhw->bck", x, x),
            F.grid_sample(x, torch.zeros(2, 3, 3, 2)),
            F.normalize(x),
            x.exp().sum(1),
            torch.where(x > 0, x, 2 * x),
            torch.fft.rfft(x).real,
            x.reshape(1, -1).mean(0),
        )


def test_every_refusal_names_its_line_and_has_a_remedy_of_its_own() -> None:
    _, refused = attempt(Awkward(), (4, 8, 8))
    kinds = {refusal.operator for refusal in refused}
    assert kinds >= {
        "conv3d", "instance_norm", "rms_norm", "adaptive_avg_pool2d", "adaptive_max_pool2d", "selu",
        "upsample_bicubic2d", "einsum", "grid_sampler", "linalg_vector_norm", "exp", "where", "fft_rfft", "reshape",
    }  # fmt: skip
    assert all(re.fullmatch(r"test_alternatives\.py:\d+", refusal.source) for refusal in refused)
    assert {"space", "instances", "odd"} <= {refusal.layer for refusal in refused}
    for refusal in refused:
        if refusal.operator in INSTEAD or refusal.operator in WITHIN:
            assert ANYTHING not in instead([refusal]), refusal


def test_the_error_says_for_each_kind_what_to_write() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.act = nn.InstanceNorm2d(4), nn.SELU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.norm(self.norm(x)))

    with pytest.raises(UnsupportedOperatorError) as caught:
        capture(Two(), (4, 6, 6))
    assert "layer norm (instance_norm, test_alternatives.py:" in caught.value.what
    assert "for instance_norm: nn.BatchNorm2d" in caught.value.remedy
    assert "for selu: nn.ReLU" in caught.value.remedy


def test_one_kind_of_operator_gets_its_remedy_alone() -> None:
    refusal = Refusal("pool", "adaptive_avg_pool2d", "nets.py:3", "8 x 8 does not divide into 3 x 3 equal windows")
    assert instead([refusal, refusal]) == WITHIN["adaptive_avg_pool2d"]
    assert instead([Refusal("x", "never_heard_of", "nets.py:3", "")]) == ANYTHING


def test_the_tables_keep_step_with_what_is_captured() -> None:
    assert not INSTEAD.keys() & LOWERINGS.keys(), "these have a form now"
    assert not WITHIN.keys() - LOWERINGS.keys(), "these have no form in any setting"


class Proposed(nn.Module):
    """A module of the expressions that the tables of alternatives propose."""

    def __init__(self) -> None:
        super().__init__()
        self.activations = nn.ModuleList([nn.Hardswish(), nn.SiLU(), nn.GELU(), nn.ELU(), nn.Softplus(), nn.Hardtanh()])

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        return (
            F.relu(a) + F.relu(-a),
            a + F.relu(b - a),
            a - F.relu(a - b),
            a * a * a,
            a[:, [0, 2]],
            a.mean((2, 3)),
            F.max_pool2d(a, 2),
            *(activation(a) for activation in self.activations),
        )


def test_what_is_proposed_is_captured() -> None:
    assert len(capture(Proposed(), (4, 6, 6), (4, 6, 6)).outputs) == 13


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda x: x, "an input as it came"),
        (lambda x: (F.relu(x), torch.ones(2, 3)), "does not depend on its inputs"),
        (lambda x: (lambda y: (y, y))(F.relu(x)), "one tensor twice"),
        (lambda x: None, "nothing"),
        (lambda x: x * x.mean().item(), r"item, test_alternatives\.py:\d+\): it makes a number of a tensor"),
    ],
)
def test_what_no_device_could_give_out_is_refused(forward: object, said: str) -> None:
    class Wrapped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return forward(x)  # type: ignore[operator]

    with pytest.raises(ModelError, match=said) as caught:
        capture(Wrapped(), (2, 4, 4))
    assert caught.value.remedy

"""What a family's files give for each operator: the signatures of its forms, and what those may ask."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgekd.graph.structure import Array, Kernels, Operator, Quantization, Tensor

if TYPE_CHECKING:
    import torch


class Scales(Protocol):
    """What the integer reference of an operator may ask of its graph."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """By name."""

    def quantization(self, tensor: str) -> Quantization:
        """A tensor's scale and zero point."""


ReferenceForm = Callable[[Any, Scales, list[Array], Kernels], Array]
"""(operator, scales, codes of each input (N, *shape), kernels) -> codes of the output: int8 but for islands.

`REFERENCE`, at the end of each family's file, has one for each operator; `LITERT_REFERENCE` those in which LiteRT's
reference kernels part from TFLite Micro's.
"""


class Simulated(Scales, Protocol):
    """What the forms that train may ask of a simulation."""

    kernels: Kernels

    def parameters_of(self, op: Operator) -> "tuple[torch.Tensor, ...]":
        """An operator's float parameters, in the order of `op.parameters`."""

    def observe(self, name: str, computed: "Callable[[], torch.Tensor]") -> None:
        """Let a tensor's range follow its real values."""


@dataclass(frozen=True)
class TrainingForms:
    """How training computes an operator, in torch. `TRAINING`, at the end of each `x_training.py`, ties them to it.

    Codes come and go as integer-valued float32, less their zero point: zero is real zero, so nothing has to be
    subtracted before a convolution.

    Attributes:
        real: (operator, *inputs, *parameters, shape=of the output) -> the output's real values.
        codes: (simulation, operator, *codes of the inputs) -> codes of the output, exact, with a gradient; or None
            where it would not be exact, and so declines. Then, and for an operator without this form, the codes are
            the integer reference's and the gradient is that of `real`.
        shipped: (simulation, operator) -> the operator with its parameters as they ship: codes and their scales.
        any_bits: `codes` is exact for codes of 16 bits too; the sums of others are too long for float32.
    """

    real: "Callable[..., torch.Tensor]"
    codes: "Callable[..., torch.Tensor | None] | None" = None
    shipped: Callable[[Simulated, Any], Operator] | None = None
    any_bits: bool = False

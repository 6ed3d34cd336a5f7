"""The signatures of an operator's reference and training forms, and the protocols of what these forms may read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgekd.graph.structure import Array, Kernels, Operator, Quantization, Tensor

if TYPE_CHECKING:
    import torch


class Scales(Protocol):
    """What the integer reference of an operator may read of its graph."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The graph's tensors by name."""

    def quantization(self, tensor: str) -> Quantization:
        """The scale and zero point of a tensor."""


ReferenceForm = Callable[[Any, Scales, list[Array], Kernels], Array]
"""(operator, scales, codes of each input (N, *shape), kernels) -> codes of the output.

`REFERENCE`, at the end of each family's file, holds one for each operator; `LITERT_REFERENCE` holds those in which
LiteRT's reference kernels differ from TFLite Micro's.
"""


class Simulated(Scales, Protocol):
    """What the training form of an operator may read of a simulation."""

    kernels: Kernels

    def parameters_of(self, op: Operator) -> "tuple[torch.Tensor, ...]":
        """The float parameters of an operator, in the order of `op.parameters`."""

    def observe(self, name: str, compute: "Callable[[], torch.Tensor]") -> None:
        """Update the range of a tensor by its real values, which are computed only where they are needed."""


@dataclass(frozen=True)
class TrainingForms:
    """How training computes an operator in torch; `TRAINING` in each `x_training.py` holds these by class.

    Codes are integer-valued float32 tensors minus their zero point: zero is real zero, so nothing has to be subtracted
    before a convolution.

    Attributes:
        real: (operator, *inputs, *parameters, shape=of the output) -> the output's real values.
        codes: (simulation, operator, *codes of the inputs) -> codes of the output, exact and with a gradient, or None
            where they would not be exact. Then, and for an operator without this form, the integer reference computes
            the codes and `real` the gradient.
        shipped: (simulation, operator) -> the operator with the codes and scales of the exported file as parameters.
        any_bits: whether `codes` is exact for codes of 16 bits too; other sums would exceed what float32 holds exactly.
    """

    real: "Callable[..., torch.Tensor]"
    codes: "Callable[..., torch.Tensor | None] | None" = None
    shipped: Callable[[Simulated, Any], Operator] | None = None
    any_bits: bool = False

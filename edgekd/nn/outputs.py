"""What a network answers, as every loss and teacher sees it."""

from dataclasses import dataclass, field

from torch import Tensor, nn

from edgekd.errors import ModelError


@dataclass
class Outputs:
    """Attributes:
    logits: (N, classes), float32.
    features: named activations, where a network gives them.
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)


def answer(model: nn.Module, x: Tensor) -> Outputs:
    """Run `model` on x (N, ...). Logits come back in float32 under mixed precision too, so that losses stay exact."""
    result = model(x)
    if isinstance(result, Outputs):
        return Outputs(result.logits.float(), result.features)
    if isinstance(result, Tensor):
        return Outputs(result.float())
    raise ModelError(
        f"{type(model).__name__} returns a {type(result).__name__}, not logits of shape (N, classes)",
        "let its forward return the logits alone",
    )

"""A recurrent keyword spotter: a GRU or an LSTM over frames of MFCCs ("Hello Edge": Zhang et al., 2017,
arXiv:1711.07128)."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.errors import ModelError
from edgekd.models.parts import positive

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class GRUKeyword(nn.Module):
    """Takes frames (N, time, features), or spectrograms (N, 1, time, frequency): 49x10 in MLPerf Tiny.

    The device's graph is unrolled over all frames, and its steps share their weights.

    Args:
        hidden: width of the state.
        layers: number of recurrent layers.
        cell: kind of the recurrent layers, "gru" or "lstm".
        dropout: share of the last state that training leaves out.
    """

    def __init__(
        self,
        classes: int,
        input_shape: Sequence[int],
        hidden: int = 64,
        layers: int = 1,
        cell: str = "gru",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        shape = tuple(int(n) for n in input_shape)
        if not (len(shape) == 2 or (len(shape) == 3 and shape[0] == 1)):
            raise ModelError(
                f"gru_keyword takes frames (time, features) or (1, time, features); these inputs have shape {shape}",
                'model = "dscnn", which takes images of any kind',
            )
        positive("gru_keyword", hidden=hidden, layers=layers)
        if cell not in CELLS:
            raise ModelError(f"gru_keyword has no cell {cell!r}", f"cell = one of {', '.join(CELLS)}")
        self.recurrent = CELLS[cell](shape[-1], hidden, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map frames (N, time, features) or (N, 1, time, features) to logits (N, classes)."""
        states, _ = self.recurrent(x.flatten(1, -2) if x.dim() == 4 else x)
        logits: Tensor = self.linear(self.dropout(states[:, -1]))
        return logits

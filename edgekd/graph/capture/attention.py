"""A form of torch.nn.MultiheadAttention for capture, in which the batch stays the first axis.

torch's own form moves time in front of the batch and folds heads into the batch, which the graph can't express. While a
model is captured, attention without masks is computed by the same layers with the batch first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@contextmanager
def batch_first_attention() -> Iterator[None]:
    """Within the context, `nn.MultiheadAttention` computes by `attend` where it has no masks and the batch is first."""
    original, fast = nn.MultiheadAttention.forward, torch.backends.mha.get_fastpath_enabled()

    def forward(
        self: nn.MultiheadAttention,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        has_mask = key_padding_mask is not None or attn_mask is not None or is_causal
        has_extra_keys = self.bias_k is not None or self.add_zero_attn
        if has_mask or has_extra_keys or not self.batch_first or query.dim() != 3:
            return original(
                self, query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
            )
        output, weights = attend(self, query, key, value)
        return output, weights.mean(1) if average_attn_weights else weights

    nn.MultiheadAttention.forward = forward  # type: ignore[method-assign]
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        nn.MultiheadAttention.forward = original  # type: ignore[method-assign]
        torch.backends.mha.set_fastpath_enabled(fast)


def attend(layer: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Multi-head attention of query, key and value, (N, length, width) each.

    Returns:
        the output (N, length, width) and the attention weights (N, heads, length, length).
    """
    weights: tuple[Tensor, ...] = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
    if layer.in_proj_weight is not None:
        weights = layer.in_proj_weight.chunk(3)
    biases = layer.in_proj_bias.chunk(3) if layer.in_proj_bias is not None else (None, None, None)

    def heads(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        projection = F.linear(x, weight, bias)
        return projection.reshape(*projection.shape[:2], layer.num_heads, layer.head_dim).transpose(1, 2)

    q, k, v = (heads(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    output = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    return layer.out_proj(output), torch.softmax(q @ k.transpose(-1, -2) * layer.head_dim**-0.5, -1)

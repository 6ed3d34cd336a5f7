"""Structured pruning: groups of coupled channels, their saliency scores, and the selection of channels to remove.

`parts` and `width` describe a group to a criterion of the user's own (docs/pruning.md).
"""

from edgekd.pruning.groups import parts, width

__all__ = ["parts", "width"]

"""Which channels leave a network: groups that hang together, their scores, and the choice between them.

`parts` and `width` are what a criterion of the user's own reads a group with (docs/pruning.md).
"""

from edgekd.pruning.groups import parts, width

__all__ = ["parts", "width"]

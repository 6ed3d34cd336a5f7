"""Pruning criteria, one a file: `(group, data) -> 1-D scores`, high for channels that matter."""

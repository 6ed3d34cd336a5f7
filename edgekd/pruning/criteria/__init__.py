"""Pruning criteria: which channels matter, one file each, `(group, data) -> 1-D scores`."""

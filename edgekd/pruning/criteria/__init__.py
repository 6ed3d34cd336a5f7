"""Pruning criteria: which channels matter, one file each, `(group, batch) -> 1-D scores`."""

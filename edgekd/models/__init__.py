"""Architectures that a config can name: one file each, and one line in `catalog.MODELS`."""

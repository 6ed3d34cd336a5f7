"""Data sets that a config can name: one file each, and one line in `catalog.DATASETS`."""

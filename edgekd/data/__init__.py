"""Data sets: loading, checks, division into splits, augmentation and batches."""

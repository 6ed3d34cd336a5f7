"""Distillation losses, one a file, and their weighted sum."""

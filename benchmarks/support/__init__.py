"""Helpers of the claims' scripts: rows, builds, networks, comparisons, commits."""

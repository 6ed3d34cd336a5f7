"""What the scripts of claims share: rows, builds, networks, comparisons, commits."""

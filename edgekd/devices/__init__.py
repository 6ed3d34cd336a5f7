"""Where a file runs, and how long it takes there."""

"""The devices on which a file runs, and its latency there."""

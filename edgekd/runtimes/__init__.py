"""Runtimes that execute an exported file on this machine, and the stopwatch for them."""

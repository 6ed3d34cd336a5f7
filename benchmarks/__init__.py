"""The claims of edgekd, each with a script that anyone can run again: `python -m benchmarks.claims.NAME`."""

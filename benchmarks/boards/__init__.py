"""The tables of README.md, benchmarks/README.md and docs/, made of the CSVs."""

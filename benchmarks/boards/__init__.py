"""The tables of README.md, benchmarks/README.md and docs/, generated from the CSVs."""

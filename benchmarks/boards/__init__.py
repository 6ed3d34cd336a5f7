"""The tables of the README pages, made of the CSVs."""

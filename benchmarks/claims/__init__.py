"""One script for each claim, which adds rows to the CSV of its name in results/."""

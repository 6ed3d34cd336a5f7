"""A script a claim, each of which adds rows to the CSV of its name in results/."""

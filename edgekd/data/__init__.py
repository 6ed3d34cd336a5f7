"""The data set: read, checked, divided, and cut into batches."""

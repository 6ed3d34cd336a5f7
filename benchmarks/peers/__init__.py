"""The comparison with other tools: one file for each, which converts a trained student to int8 at its best settings."""

"""Quantises a float graph: calibration, simulation in the deployed arithmetic, and training in it."""

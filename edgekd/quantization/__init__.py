"""From a float graph to integers: calibration, simulation in the deployed arithmetic, and training in it."""

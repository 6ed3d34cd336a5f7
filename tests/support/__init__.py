"""Helpers of the tests: small networks and data, faults, random graphs, and the comparison with the reference."""

"""The quantised graph: one description of the network, trained in it, checked in it, and written out from it."""

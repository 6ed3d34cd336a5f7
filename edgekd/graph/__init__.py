"""The graph: the description of a network in which it is trained, checked against runtimes, and exported."""

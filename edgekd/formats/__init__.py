"""Writers of the graph: one file a format."""

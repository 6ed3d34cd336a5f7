"""The steps of a build, one file each; `edgekd.pipeline` chains them, and they never import one another."""

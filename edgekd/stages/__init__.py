"""The steps of a build, one file each; `edgekd.pipeline.build` chains them, and they never import one another."""

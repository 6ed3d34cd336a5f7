"""Teachers, the sources of a student's targets: callables (batch) -> outputs."""

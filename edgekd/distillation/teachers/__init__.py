"""Where a student's targets come from: callables (batch) -> outputs."""

"""Distillation schemes, one a file: `(run, **options) -> FitResult`, which trains the student in place."""

"""How the teaching goes: one scheme per file, `(run, **options) -> FitResult`, which trains the student in place."""

"""How the teaching goes: one scheme per file, `(lesson, **options) -> FitResult`, the student trained in place."""

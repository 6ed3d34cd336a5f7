"""What a network learns and how it is judged: one package or module a task."""

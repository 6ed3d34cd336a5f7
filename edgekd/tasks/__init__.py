"""Tasks, one package or module each: what a network learns, and how its answers are scored."""

"""What a student learns from a teacher: set up, run, and judged by what was transferred."""

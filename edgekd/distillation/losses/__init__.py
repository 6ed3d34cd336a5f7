"""What a student is trained by: one loss per file, and their weighted sum."""

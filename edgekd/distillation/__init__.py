"""Knowledge distillation: its setup, the training of the student, and the analysis of what was transferred."""

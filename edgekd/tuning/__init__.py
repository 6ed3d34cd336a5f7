"""`edgekd tune`: a hyperparameter search over the settings of the distillation, on validation data alone."""

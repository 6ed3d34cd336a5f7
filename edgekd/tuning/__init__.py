"""`edgekd tune`: a search for the settings of the distillation, on validation data alone."""

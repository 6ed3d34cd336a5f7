"""One file a tool: how each turns a trained student into an int8 file, at its best honest settings."""

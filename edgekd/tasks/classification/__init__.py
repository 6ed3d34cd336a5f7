"""One label a sample, of classes that exclude one another."""

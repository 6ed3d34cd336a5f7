"""Torch networks as objects: built from blueprints, saved, run, and surveyed layer by layer."""

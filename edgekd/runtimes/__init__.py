"""Runs exported files on this machine in each runtime and compares their codes with the reference."""

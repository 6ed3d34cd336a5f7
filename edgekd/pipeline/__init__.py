"""The build: stages chained through a store of finished work, from config to report."""

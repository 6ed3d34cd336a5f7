"""The build: it runs the stages from config to report, and reuses finished work from a store."""

"""Runs the whole platform as local processes."""

"""Reads the replica at one moment: ranges of a table's key become Arrow batches."""

"""Comparison and repair of the rows of both sides."""

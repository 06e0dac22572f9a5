"""Reads the state of the shop and of the pipeline from MySQL and the other servers."""

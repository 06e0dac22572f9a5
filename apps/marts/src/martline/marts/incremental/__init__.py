"""Incremental runs: read what has changed in the replica since the last run, change the marts by it."""

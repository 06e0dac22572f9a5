"""Incremental runs, which read only what has changed in the replica since the last run."""

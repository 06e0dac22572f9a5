"""The changes since the last run, from the slot into MySQL."""

"""Changes are read from the slot and applied to MySQL."""

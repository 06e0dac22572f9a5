"""The source: the shop's tables, its data, and its events."""

"""The copy of new tables."""

"""The whole platform as local processes."""

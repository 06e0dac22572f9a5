"""A table as both sides know it: its columns, and their types in MySQL."""

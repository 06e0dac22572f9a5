"""A table as both sides know it: its columns, and which types they have in MySQL."""

"""PostgreSQL, the side that is read."""

"""PostgreSQL, the source."""

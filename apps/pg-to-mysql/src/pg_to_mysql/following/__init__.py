"""How MySQL's tables follow schema changes in PostgreSQL."""

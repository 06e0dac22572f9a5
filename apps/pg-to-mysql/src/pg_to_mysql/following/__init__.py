"""How MySQL's tables follow what becomes of PostgreSQL's."""

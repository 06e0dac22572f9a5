"""PostgreSQL's SQL expressions, made from the templates of the types."""

from psycopg import sql


def fill(template: str, column: sql.Composable) -> sql.Composed:
    """``template`` with the column in each ``{}``."""
    first, *others = template.split("{}")
    return sql.Composed([sql.SQL(first), *(part for text in others for part in (column, sql.SQL(text)))])

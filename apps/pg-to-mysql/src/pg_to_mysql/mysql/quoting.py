"""Quoting of names and texts in MySQL's SQL."""


def quote(name: str) -> str:
    """A name, quoted for MySQL's SQL."""
    return "`" + name.replace("`", "``") + "`"


def text_literal(text: str) -> str:
    """A text, quoted for MySQL's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

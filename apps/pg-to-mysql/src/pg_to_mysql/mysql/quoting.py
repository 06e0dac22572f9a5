"""Quoting of names and texts in MySQL's SQL."""

from collections.abc import Iterable


def quote(name: str) -> str:
    """A name, quoted for MySQL's SQL."""
    return "`" + name.replace("`", "``") + "`"


def quote_all(names: Iterable[str]) -> str:
    """The names as a list, each quoted for MySQL's SQL."""
    return ", ".join(map(quote, names))


def text_literal(text: str) -> str:
    """A text, quoted for MySQL's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

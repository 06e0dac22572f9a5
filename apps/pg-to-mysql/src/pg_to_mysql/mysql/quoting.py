"""Names and texts as MySQL's SQL has them."""


def quote(name: str) -> str:
    """A name as MySQL's SQL has it."""
    return "`" + name.replace("`", "``") + "`"


def text_literal(text: str) -> str:
    """A text as MySQL's SQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

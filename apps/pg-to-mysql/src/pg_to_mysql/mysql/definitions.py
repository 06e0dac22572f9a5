"""The definitions of MySQL's tables, made from PostgreSQL's."""

from pg_to_mysql.mysql.quoting import quote, text_literal
from pg_to_mysql.tables.table import Column, Index, Table
from pg_to_mysql.tables.types import MySQLType

LONGEST_COMMENT = {"column": 1024, "table": 2048}
"""MySQL's limit of a comment, in characters."""
INDEX_BYTES = 3072
"""InnoDB's limit of all columns of an index together, in bytes."""
BYTES_OF_A_CHARACTER = 4


def create_table(name: str, table: Table, collation: str) -> str:
    """The statement that creates ``table`` under ``name``, without its secondary indexes."""
    key = ", ".join(quote(table.columns[i].name) for i in table.key)
    definitions = [
        column_definition(column, kind) for column, kind in zip(table.columns, table.types, strict=True)
    ]
    return (
        f"CREATE TABLE {quote(name)} ({', '.join(definitions)}, PRIMARY KEY ({key}))"
        f" ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {collation}{_comment('table', table.comment)}"
    )


def add_indexes(name: str, table: Table) -> str:
    """The statement that adds the table's secondary indexes (at least one) to the table called ``name``."""
    return f"ALTER TABLE {quote(name)} " + ", ".join(f"ADD {_index(table, index)}" for index in table.indexes)


def column_definition(column: Column, kind: MySQLType) -> str:
    """The definition of the column in MySQL's SQL."""
    null = "" if column.may_be_null(kind) else " NOT NULL"
    return f"{quote(column.name)} {kind.name}{null}{_comment('column', column.comment)}"


def _comment(of: str, comment: str | None) -> str:
    if not comment:
        return ""
    # MySQL stores column comments in a character set that lacks rare characters.
    plain = "".join(character if ord(character) <= 0xFFFF else "?" for character in comment)
    return f" COMMENT {text_literal(plain[: LONGEST_COMMENT[of]])}"


def _index(table: Table, index: Index) -> str:
    parts = []
    for i in index.columns:
        prefix = index_prefix(table.types[i], len(index.columns))
        parts.append(index_part(table.columns[i].name, prefix))
    name = f"{index.name}_" if index.name.casefold() == "primary" else index.name.rstrip()
    # Never unique: see pg_to_mysql.mysql.unique.
    return f"INDEX {quote(name)} ({', '.join(parts)})"


def index_part(column: str, prefix: int | None) -> str:
    """A column of an index in MySQL's SQL."""
    return quote(column) + (f"({prefix})" if prefix else "")


def index_prefix(kind: MySQLType, columns: int) -> int | None:
    """How many characters or bytes of a value fit an index of this many columns; None if all of it fits."""
    share = INDEX_BYTES // columns
    if kind.name == "LONGBLOB" or (kind.name.startswith("VARBINARY") and columns > 1):
        length = kind.name.removeprefix("VARBINARY").strip("()")
        return share if length == "LONGBLOB" or int(length) > share else None
    if kind.name == "LONGTEXT" or kind.row_bytes > share:
        return share // BYTES_OF_A_CHARACTER
    return None

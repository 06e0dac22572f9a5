"""How PostgreSQL's types become MySQL's: the one table that copy, changes and compare all read.

A value travels as the text that PostgreSQL's output function gives (with the session settings of
:func:`replication.source.connect`), so that a copied value and a changed one are the same bytes. A type
that MySQL does not have is kept as that text. What MySQL can't hold (infinity, NaN, a year past 9999) it
refuses while loading, and the command fails.
"""

from collections.abc import Callable
from dataclasses import dataclass

LONGEST_VARCHAR = 255
"""In characters. Longer ones become LONGTEXT, as a MySQL row holds 65,535 bytes of VARCHAR at most."""
LONGEST_KEY = 2800
"""In bytes, of a key's texts together: InnoDB's limit of 3072 less room for the key's other columns."""
WIDEST_DECIMAL = (65, 30)
"""Digits and decimals of the widest DECIMAL, which ``numeric`` without a precision becomes."""


@dataclass(frozen=True)
class MySQLType:
    """What a column is in MySQL, and how its values get there and are compared.

    In the SQL templates, ``{}`` is the quoted column.
    """

    name: str
    copied: str = "{}"
    """PostgreSQL's expression for the copy; it equals ``decode`` of the output function's text."""
    decode: Callable[[bytes], bytes] = bytes
    """From the text of a change to what MySQL loads."""
    loaded: str = "{}"
    """MySQL's expression over the loaded text."""
    source_text: str = "format('%s', {})"
    """PostgreSQL's canonical text for the comparison."""
    target_text: str = "CAST({} AS CHAR)"
    """MySQL's canonical text for the comparison."""


def _boolean(text: bytes) -> bytes:
    return b"1" if text == b"t" else b"0"


def _without_padding(text: bytes) -> bytes:
    return text.rstrip(b" ")


def _without_zone(text: bytes) -> bytes:
    return text.replace(b"+00", b"", 1) if b"+00" in text else text


def _hexadecimal(text: bytes) -> bytes:
    return text[2:]


# Both servers print the fewest digits that give the same number back, but place point and exponent
# differently; so the text is taken apart into its digits and the power of ten of the last one.
_SOURCE_DIGITS = "ltrim(translate(split_part({}::text, 'e', 1), '-.', ''), '0')"
_SOURCE_FLOAT = (
    "concat(CASE WHEN {} < 0 THEN '-' END, rtrim(" + _SOURCE_DIGITS + ", '0'), 'e',"
    " coalesce(nullif(split_part({}::text, 'e', 2), ''), '0')::int"
    " - length(split_part(split_part({}::text, 'e', 1), '.', 2))"
    " + length(" + _SOURCE_DIGITS + ") - length(rtrim(" + _SOURCE_DIGITS + ", '0')))"
)
_TARGET_MANTISSA = "SUBSTRING_INDEX(CAST({} AS CHAR), 'e', 1)"
_TARGET_DIGITS = "TRIM(LEADING '0' FROM REPLACE(REPLACE(" + _TARGET_MANTISSA + ", '-', ''), '.', ''))"
_TARGET_FLOAT = (
    "CONCAT(IF({} < 0, '-', ''), TRIM(TRAILING '0' FROM " + _TARGET_DIGITS + "), 'e',"
    " IF(LOCATE('e', {}), CAST(SUBSTRING_INDEX(CAST({} AS CHAR), 'e', -1) AS SIGNED), 0)"
    " - IF(LOCATE('.', " + _TARGET_MANTISSA + "),"
    " CHAR_LENGTH(SUBSTRING_INDEX(" + _TARGET_MANTISSA + ", '.', -1)), 0)"
    " + CHAR_LENGTH(" + _TARGET_DIGITS + ") - CHAR_LENGTH(TRIM(TRAILING '0' FROM " + _TARGET_DIGITS + ")))"
)

_FLOAT = MySQLType("DOUBLE", source_text=_SOURCE_FLOAT, target_text=_TARGET_FLOAT)
_FIXED: dict[str, MySQLType] = {
    "int2": MySQLType("SMALLINT"),
    "int4": MySQLType("INT"),
    "int8": MySQLType("BIGINT"),
    # MySQL's FLOAT shows 6 digits; PostgreSQL's real needs up to 9, which DOUBLE keeps.
    "float4": _FLOAT,
    "float8": _FLOAT,
    "bool": MySQLType("BOOLEAN", copied="{}::int", decode=_boolean, source_text="{}::int::text"),
    "uuid": MySQLType("CHAR(36)"),
    "date": MySQLType("DATE", source_text="to_char({}, 'YYYY-MM-DD')"),
    "time": MySQLType("TIME(6)", source_text="to_char({}, 'HH24:MI:SS.US')"),
    "timestamp": MySQLType("DATETIME(6)", source_text="to_char({}, 'YYYY-MM-DD HH24:MI:SS.US')"),
    "timestamptz": MySQLType(
        "DATETIME(6)",
        copied="{} AT TIME ZONE 'UTC'",
        decode=_without_zone,
        source_text="to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
    ),
}


def mysql_type(name: str, length: int | None, scale: int | None, text_keys: int) -> MySQLType:
    """MySQL's type for a PostgreSQL type.

    ``name`` is that of ``pg_type``, a domain's being its base type's. ``length`` is that of ``char(n)`` and
    ``varchar(n)``, or the precision of ``numeric(p, s)``. ``text_keys`` is 0 for a column outside the
    table's key, else the number of the key's columns that may be text: they share an index's bytes.
    """
    if name in _FIXED:
        return _FIXED[name]
    if name == "numeric":
        return _numeric(length, scale)
    if name == "bytea":
        return MySQLType(
            f"VARBINARY({LONGEST_KEY // text_keys})" if text_keys else "LONGBLOB",
            copied="encode({}, 'hex')",
            decode=_hexadecimal,
            loaded="UNHEX({})",
            source_text="encode({}, 'hex')",
            target_text="LOWER(HEX({}))",
        )
    # 4 bytes a character
    longest = LONGEST_KEY // 4 // text_keys if text_keys else LONGEST_VARCHAR
    if length is not None and length <= longest:
        target = f"VARCHAR({length})"
    else:
        target = f"VARCHAR({longest})" if text_keys else "LONGTEXT"
    if name == "bpchar":
        return MySQLType(
            target, copied="{}::text", decode=_without_padding, source_text="{}::text", target_text="{}"
        )
    return MySQLType(target, target_text="{}")


def _numeric(precision: int | None, scale: int | None) -> MySQLType:
    most_digits, most_decimals = WIDEST_DECIMAL
    if precision is None or scale is None:
        widest = f"{most_digits}, {most_decimals}"
        return MySQLType(f"DECIMAL({widest})", source_text=f"{{}}::numeric({widest})::text")
    if precision > most_digits or not 0 <= scale <= min(precision, most_decimals):
        return MySQLType("LONGTEXT", target_text="{}")
    return MySQLType(f"DECIMAL({precision}, {scale})")

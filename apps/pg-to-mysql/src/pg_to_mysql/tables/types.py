"""How PostgreSQL's types become MySQL's: the one table that copy, changes and compare all read.

A value travels as the text that PostgreSQL's output function gives (with the session settings of
:mod:`pg_to_mysql.postgres.session`), so a copied value and a changed one are the same bytes. A type that MySQL
does not have is kept as that text. The column's :class:`Unfit` rule says what happens to a value that MySQL
can't hold (infinity, NaN, a year past 9999).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

LONGEST_VARCHAR = 255
"""The longest VARCHAR, in characters. Longer types become LONGTEXT."""
LONGEST_KEY = 2800
"""The limit of all texts of a key together, in bytes: InnoDB's limit of 3072, less room for the other columns."""
LONGEST_ROW = 60_000
"""The limit of all VARCHARs of a row together, in bytes: MySQL's 65,535, less room for the other columns."""
WIDEST_DECIMAL = (65, 30)
"""Digits and decimals of the widest DECIMAL. ``numeric`` without a precision becomes this type."""
SHOWN = "CASE WHEN num_nonnulls({}) = 1 THEN format('%s', {}) END"
"""PostgreSQL's expression for the result of a type's output function, if a cast to text may give another text.

``IS NOT NULL`` is false for a composite value that has a NULL in a field.
"""
CAST_DIFFERS = ("inet", "xml", "enum", "other")
"""Types whose cast to text may differ, because it is a function, keeps XML's encoding, or is a user's own cast.
"""


class Unfit(StrEnum):
    """What happens to a value that MySQL's type can't hold."""

    STOP = "stop"
    """The table is stopped, and the error names the table, the column and the key."""
    NULL = "null"
    """The value becomes NULL."""
    TEXT = "text"
    """The column is a text column from the start, and holds every value as PostgreSQL shows it."""


@dataclass(frozen=True)
class Fit:
    """Which of a type's values MySQL can hold."""

    source: str
    """A condition in PostgreSQL; ``{}`` is the quoted column, which is not NULL."""
    text: Callable[[bytes], bool]
    """The same condition on the output function's text."""


@dataclass(frozen=True)
class MySQLType:
    """The type of a column in MySQL, and how its values get there and are compared.

    In the SQL templates, ``{}`` is the quoted column.
    """

    name: str
    copied: str = "{}"
    """PostgreSQL's expression for the copy. Its text equals ``decode`` of the output function's text."""
    decode: Callable[[bytes], bytes | None] | None = None
    """Converts the text of a change to what MySQL loads; None if MySQL loads the text itself."""
    loaded: str = "{}"
    """MySQL's expression on the loaded text."""
    fit: Fit | None = None
    """None if MySQL can hold every value, or every value that is not too long."""
    source_text: str = "{}::text"
    """PostgreSQL's canonical text for the comparison, possibly as a non-text value that PostgreSQL's concat_ws
    turns into the text."""
    target_text: str = "{}"
    """MySQL's canonical text for the comparison, possibly as a non-text value that MySQL's CONCAT turns into the
    text."""
    free_text: bool = False
    """Whether the canonical text may be empty or contain a comma."""
    binary: bool = False
    """Whether MySQL stores bytes, which the canonical text shows with two digits each."""
    row_bytes: int = 0
    """How many bytes of :data:`LONGEST_ROW` a VARCHAR uses."""

    @property
    def digests(self) -> tuple[str, str] | None:
        """PostgreSQL's and MySQL's expressions for the value's SHA-256; None if the canonical text is short."""
        if self.binary:
            return "encode(sha256({}), 'hex')", "SHA2({}, 256)"
        if self.free_text:
            return f"encode(sha256(textsend({self.source_text})), 'hex')", f"SHA2({self.target_text}, 256)"
        return None


def _boolean(text: bytes) -> bytes:
    return b"1" if text == b"t" else b"0"


def _without_padding(text: bytes) -> bytes:
    return text.rstrip(b" ")


def _without_zone(text: bytes) -> bytes:
    return text[:-3] if text.endswith(b"+00") else text


def _is_finite(text: bytes) -> bool:
    return text[-1:].isdigit()


def _is_decimal(text: bytes) -> bool:
    """Whether the widest DECIMAL can hold the number; ``numeric`` never shows an exponent."""
    digits, decimals = WIDEST_DECIMAL
    whole, _, fraction = text.removeprefix(b"-").partition(b".")
    return whole.isdigit() and len(whole) <= digits - decimals and len(fraction) <= decimals


def _has_four_digit_year(text: bytes) -> bool:
    return text[4:5] == b"-" and not text.endswith(b"BC")


_TARGET_TRIMMED = "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {}))"
# Most times have no fraction. To cut off its six zeros is faster than to trim them.
_TARGET_DATETIME = "IF(MICROSECOND({}), TRIM(TRAILING '0' FROM {}), LEFT({}, 19))"
# Both servers print the fewest digits that give the same number back, but place point and exponent
# differently. So the text is split into its digits and the power of ten of the last digit.
_SOURCE_DIGITS = "ltrim(translate(split_part({}::text, 'e', 1), '-.', ''), '0')"
_SOURCE_FLOAT = (
    "CASE WHEN {} = 0 THEN '0' WHEN {} <> 0 THEN concat(CASE WHEN {} < 0 THEN '-' END, rtrim("
    + _SOURCE_DIGITS
    + ", '0'), 'e',"
    " coalesce(nullif(split_part({}::text, 'e', 2), ''), '0')::int"
    " - length(split_part(split_part({}::text, 'e', 1), '.', 2))"
    " + length(" + _SOURCE_DIGITS + ") - length(rtrim(" + _SOURCE_DIGITS + ", '0'))) END"
)
_TARGET_MANTISSA = "SUBSTRING_INDEX(CAST({} AS CHAR), 'e', 1)"
_TARGET_DIGITS = "TRIM(LEADING '0' FROM REPLACE(REPLACE(" + _TARGET_MANTISSA + ", '-', ''), '.', ''))"
_TARGET_FLOAT = (
    "CASE WHEN {} = 0 THEN '0' WHEN {} <> 0 THEN CONCAT(IF({} < 0, '-', ''), TRIM(TRAILING '0' FROM "
    + _TARGET_DIGITS
    + "), 'e',"
    " IF(LOCATE('e', {}), CAST(SUBSTRING_INDEX(CAST({} AS CHAR), 'e', -1) AS SIGNED), 0)"
    " - IF(LOCATE('.', " + _TARGET_MANTISSA + "),"
    " CHAR_LENGTH(SUBSTRING_INDEX(" + _TARGET_MANTISSA + ", '.', -1)), 0)"
    " + CHAR_LENGTH(" + _TARGET_DIGITS + ") - CHAR_LENGTH(TRIM(TRAILING '0' FROM " + _TARGET_DIGITS + "))) END"
)
# Both print the fewest digits that give the same double; MySQL alone also takes those that are half-way to the
# next one. There are such from 1e16 to 1e40 alone: a power of five must divide the 54 bits of what is half-way.
# The integers of this range are written in full, from three parts that both servers have exactly.
_WRITTEN_IN_FULL = "abs({}) BETWEEN 1e16 AND 1e40"


def _in_full(decimal: str) -> str:
    """All digits of an integer; ``decimal`` makes a double that is an integer below 2**53 decimal."""
    low, high = 2**40, 2**80
    above_low, above_high = f"floor(abs({{}}) / {low})", f"floor(abs({{}}) / {high})"
    parts = [above_high, f"{above_low} - {above_high} * {low}", f"abs({{}}) - {above_low} * {low}"]
    exact = [decimal.replace("{}", part) for part in parts]
    return f"{exact[0]} * {high} + {exact[1]} * {low} + {exact[2]}"


_SOURCE_DOUBLE = (
    f"CASE WHEN {_WRITTEN_IN_FULL}"
    f" THEN concat(CASE WHEN {{}} < 0 THEN '-' END, {_in_full('({})::bigint::numeric')}) ELSE {_SOURCE_FLOAT} END"
)
_TARGET_DOUBLE = (
    f"CASE WHEN {_WRITTEN_IN_FULL}"
    f" THEN CONCAT(IF({{}} < 0, '-', ''), {_in_full('CAST({} AS DECIMAL(65))')}) ELSE {_TARGET_FLOAT} END"
)
# MySQL's FLOAT shows 6 digits; PostgreSQL's real needs up to 9, which DOUBLE keeps.
_REAL = MySQLType(
    "DOUBLE",
    fit=Fit("{} NOT IN ('NaN', 'Infinity', '-Infinity')", _is_finite),
    source_text=_SOURCE_FLOAT,
    target_text=_TARGET_FLOAT,
)
_DOUBLE = replace(_REAL, source_text=_SOURCE_DOUBLE, target_text=_TARGET_DOUBLE)
_UNSIGNED = MySQLType("INT UNSIGNED")
_FIXED: dict[str, MySQLType] = {
    "int2": MySQLType("SMALLINT", source_text="{}"),
    "int4": MySQLType("INT", source_text="{}"),
    "int8": MySQLType("BIGINT", source_text="{}"),
    "oid": _UNSIGNED,
    "xid": _UNSIGNED,
    "cid": _UNSIGNED,
    "xid8": MySQLType("BIGINT UNSIGNED"),
    "float4": _REAL,
    "float8": _DOUBLE,
    "bool": MySQLType("BOOLEAN", copied="{}::int", decode=_boolean, source_text="{}::int"),
    "uuid": MySQLType("CHAR(36) CHARACTER SET ascii COLLATE ascii_bin", source_text="{}"),
    "date": MySQLType(
        "DATE",
        fit=Fit("{} BETWEEN '0001-01-01' AND '9999-12-31'", _has_four_digit_year),
        source_text="{}",
    ),
    # MySQL always shows six decimals, but PostgreSQL no trailing zeros, so MySQL's trailing zeros are cut off.
    "time": MySQLType("TIME(6)", source_text="{}", target_text=_TARGET_TRIMMED),
    "timestamp": MySQLType(
        "DATETIME(6)",
        fit=Fit("{} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'", _has_four_digit_year),
        source_text="{}",
        target_text=_TARGET_DATETIME,
    ),
    "timestamptz": MySQLType(
        "DATETIME(6)",
        copied="{} AT TIME ZONE 'UTC'",
        decode=_without_zone,
        fit=Fit("{} BETWEEN '0001-01-01 00:00Z' AND '9999-12-31 23:59:59.999999Z'", _has_four_digit_year),
        source_text="({} AT TIME ZONE 'UTC')",
        target_text=_TARGET_DATETIME,
    ),
}
_LONGEST_TEXT = {
    "char": 4,  # a byte above 127 is shown as \ooo
    "name": 63,
    "enum": 63,
    "interval": 100,
    "timetz": 24,
    "inet": 49,
    "cidr": 49,
    "macaddr": 17,
    "macaddr8": 23,
    "money": 64,  # with the currency of the database's lc_monetary
    "pg_lsn": 17,
    "tid": 20,
}
"""The longest text, in characters, of types that are kept as text of a limited length."""


def mysql_type(
    name: str,
    length: int | None = None,
    scale: int | None = None,
    *,
    text_keys: int = 0,
    row_bytes: int = LONGEST_ROW,
    unfit: Unfit = Unfit.STOP,
) -> MySQLType:
    """MySQL's type for a PostgreSQL type.

    :param name: as in :class:`pg_to_mysql.tables.table.Column`.
    :param length: that of ``char(n)``, ``varchar(n)``, ``bit(n)`` and ``varbit(n)``, or the precision of
        ``numeric(p, s)``.
    :param text_keys: 0 for a column outside the table's key; otherwise the number of the key's columns that may
        be text, because they share the bytes of an index.
    :param row_bytes: how many bytes are left in the row for a VARCHAR.
    """
    # 4 bytes a character
    longest = LONGEST_KEY // 4 // text_keys if text_keys else min(LONGEST_VARCHAR, row_bytes // 4)
    kind = _FIXED.get(name)
    if name == "numeric":
        kind, length = _numeric(length, scale), None  # as text it has a sign and a point besides its digits
    elif name == "bytea":
        return MySQLType(
            f"VARBINARY({LONGEST_KEY // text_keys})" if text_keys else "LONGBLOB",
            loaded="UNHEX(SUBSTR({}, 3))",
            target_text="CONCAT('\\\\x', LOWER(HEX({})))",
            binary=True,
        )
    if kind is None or (kind.fit and unfit is Unfit.TEXT):
        length = _LONGEST_TEXT.get(name) if kind is None and length is None else length
        text = _text(None if kind else length, longest, in_key=bool(text_keys), padded=name == "bpchar")
        return replace(text, source_text=SHOWN) if name in CAST_DIFFERS else text
    # a key can't contain NULL
    return _null_if_unfit(kind) if unfit is Unfit.NULL and not text_keys else kind


def _text(length: int | None, longest: int, *, in_key: bool, padded: bool) -> MySQLType:
    if length is not None and length <= longest:
        kind = MySQLType(f"VARCHAR({length})", row_bytes=4 * length + 2, free_text=True)
    elif in_key:
        kind = MySQLType(f"VARCHAR({longest})", row_bytes=4 * longest + 2, free_text=True)
    else:
        kind = MySQLType("LONGTEXT", free_text=True)
    return replace(kind, copied="{}::text", decode=_without_padding) if padded else kind


def _numeric(precision: int | None, scale: int | None) -> MySQLType | None:
    """None if DECIMAL is too narrow for the type."""
    most_digits, most_decimals = WIDEST_DECIMAL
    if precision is None or scale is None:
        # MySQL adds zeros after a number's last significant digit, so both sides cut them off.
        return MySQLType(
            f"DECIMAL({most_digits}, {most_decimals})",
            fit=Fit(
                f"(abs({{}}) < 1e{most_digits - most_decimals} AND scale({{}}) <= {most_decimals})", _is_decimal
            ),
            source_text="trim_scale({})",
            target_text=_TARGET_TRIMMED,
        )
    digits, decimals = max(precision - min(scale, 0), scale), max(scale, 0)
    if digits > most_digits or decimals > most_decimals:
        return None
    return MySQLType(f"DECIMAL({digits}, {decimals})", fit=Fit("{} <> 'NaN'", _is_finite), source_text="{}")


def _null_if_unfit(kind: MySQLType) -> MySQLType:
    fit, decode = kind.fit, kind.decode
    if fit is None:
        return kind

    def decode_if_fit(text: bytes) -> bytes | None:
        if not fit.text(text):
            return None
        return decode(text) if decode else text

    return replace(
        kind,
        copied=f"CASE WHEN {fit.source} THEN {kind.copied} END",
        decode=decode_if_fit,
        source_text=f"CASE WHEN {fit.source} THEN {kind.source_text} END",
    )


def type_length(type_name: str, modifier: int) -> tuple[int | None, int | None]:
    """Length, or precision and scale, from ``atttypmod``; see ``numerictypmodin`` in PostgreSQL's numeric.c."""
    if type_name in ("bit", "varbit"):
        return (modifier, None) if modifier >= 0 else (None, None)
    if modifier < 4:
        return None, None
    if type_name == "numeric":
        scale = (modifier - 4) & 0x7FF
        return (modifier - 4) >> 16 & 0xFFFF, scale - 0x800 if scale & 0x400 else scale
    return (modifier - 4, None) if type_name in ("varchar", "bpchar") else (None, None)

"""Which columns can hold all values of another column."""

from pg_to_mysql.tables.table import Column
from pg_to_mysql.tables.types import WIDEST_DECIMAL, Unfit


def same_type(a: Column, b: Column) -> bool:
    """Whether both have the same type with the same length."""
    return (a.type_oid, a.modifier) == (b.type_oid, b.modifier)


_INTEGERS = ("int2", "int4", "int8")
_TEXTS = ("varchar", "text")
_TIMES = ("time", "timetz", "timestamp", "timestamptz", "interval")


def holds(wide: Column, narrow: Column) -> bool:
    """Whether a value of one column has the same text in the other."""
    if same_type(wide, narrow):
        return True
    if wide.type_name in _INTEGERS and narrow.type_name in _INTEGERS:
        return _INTEGERS.index(wide.type_name) >= _INTEGERS.index(narrow.type_name)
    if wide.type_name in _TEXTS and narrow.type_name in _TEXTS:
        return _at_least(wide.length, narrow.length)
    if wide.type_name != narrow.type_name:
        return False
    if wide.type_name == "numeric":
        return _holds_numeric(wide, narrow)
    if wide.type_name == "varbit":
        return _at_least(wide.length, narrow.length)
    if wide.type_name in _TIMES:
        return _at_least(_or_none(wide.modifier), _or_none(narrow.modifier))
    return False


def _holds_numeric(wide: Column, narrow: Column) -> bool:
    if wide.scale == narrow.scale:
        return _at_least(wide.length, narrow.length) and (wide.length is not None or narrow.length is None)
    if Unfit.TEXT in (wide.unfit, narrow.unfit):
        return False  # 1.5 and 1.50 are different texts
    most_digits, most_decimals = WIDEST_DECIMAL
    digits, decimals = (
        (most_digits, most_decimals) if wide.length is None or wide.scale is None else (wide.length, wide.scale)
    )
    if narrow.length is None or narrow.scale is None or digits > most_digits or decimals > most_decimals:
        return False
    return narrow.length - narrow.scale <= digits - decimals and narrow.scale <= decimals


def _or_none(modifier: int) -> int | None:
    return None if modifier < 0 else modifier


def _at_least(wide: int | None, narrow: int | None) -> bool:
    return wide is None or (narrow is not None and wide >= narrow)

"""MySQL's types for PostgreSQL's types, and how the texts in changes are converted."""

import pytest

from pg_to_mysql.tables.types import LONGEST_KEY, Unfit, mysql_type


@pytest.mark.parametrize(
    ("precision", "scale", "name"),
    [
        (65, 30, "DECIMAL(65, 30)"),
        (5, 0, "DECIMAL(5, 0)"),
        (3, -2, "DECIMAL(5, 0)"),
        (2, 5, "DECIMAL(5, 5)"),
        (66, 0, "LONGTEXT"),
        (40, 31, "LONGTEXT"),
        (65, -1, "LONGTEXT"),
    ],
)
def test_a_numeric_is_a_decimal_where_that_is_wide_enough(precision: int, scale: int, name: str) -> None:
    assert mysql_type("numeric", precision, scale).name == name


def test_texts_of_a_key_share_its_bytes() -> None:
    assert mysql_type("text", text_keys=1).name == f"VARCHAR({LONGEST_KEY // 4})"
    assert mysql_type("text", text_keys=2).name == f"VARCHAR({LONGEST_KEY // 8})"
    assert mysql_type("bytea", text_keys=2).name == f"VARBINARY({LONGEST_KEY // 2})"


def test_a_varchar_for_which_a_row_has_no_room_is_a_longtext() -> None:
    assert mysql_type("varchar", 100, row_bytes=400).name == "VARCHAR(100)"
    assert mysql_type("varchar", 100, row_bytes=399).name == "LONGTEXT"


@pytest.mark.parametrize(
    ("kind", "fitting", "unfit"),
    [
        ("float8", [b"0", b"-1.5e-300", b"1e+20"], [b"NaN", b"Infinity", b"-Infinity"]),
        ("numeric", [b"-0." + b"1" * 30, b"9" * 35], [b"0." + b"1" * 31, b"-" + b"9" * 36, b"NaN", b"-Infinity"]),
        ("date", [b"0001-01-01", b"9999-12-31"], [b"10000-01-01", b"0001-01-01 BC", b"infinity", b"-infinity"]),
        ("timestamp", [b"9999-12-31 23:59:59.999999"], [b"20000-01-01 00:00:00", b"0044-03-15 00:00:00 BC"]),
    ],
)
def test_only_values_that_do_not_fit_become_null(kind: str, fitting: list[bytes], unfit: list[bytes]) -> None:
    decode = mysql_type(kind, unfit=Unfit.NULL).decode
    assert decode is not None
    assert [decode(text) for text in fitting] == fitting
    assert [decode(text) for text in unfit] == [None] * len(unfit)


def test_a_value_of_a_key_never_becomes_null() -> None:
    assert mysql_type("date", text_keys=1, unfit=Unfit.NULL).decode is None

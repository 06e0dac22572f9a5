"""A fold of changes has the same effect as the changes one by one."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from pg_to_mysql.changes.fold import Fold, fold
from pg_to_mysql.changes.write import enclose
from pg_to_mysql.postgres.pgoutput import SPARE, UNCHANGED, Messages

Row = list[bytes | None]
Table = dict[bytes, Row]
SAME = object()
"""A large value that an update does not change, and that PostgreSQL therefore does not send."""


def _value(value: object) -> bytes:
    if isinstance(value, bytes):
        return b"t" + len(value).to_bytes(4, "big") + value
    return b"u" if value is SAME else b"n"


def tuple_data(row: Sequence[object]) -> bytes:
    """A row as *TupleData* (PostgreSQL's documentation, "Logical Replication Message Formats")."""
    values = (_value(value) for value in row)
    return len(row).to_bytes(2, "big") + b"".join(values)


def insert(row: Sequence[object]) -> bytes:
    return b"I\0\0\0\x01N" + tuple_data(row)


def update(row: Sequence[object], old: Sequence[object] | None = None, kind: bytes = b"K") -> bytes:
    return b"U\0\0\0\x01" + (b"" if old is None else kind + tuple_data(old)) + b"N" + tuple_data(row)


def delete(old: Sequence[object]) -> bytes:
    return b"D\0\0\0\x01K" + tuple_data(old)


def folded(messages: list[bytes], columns: int, key: Sequence[int]) -> tuple[Fold, bytes]:
    lengths = np.array([len(message) for message in messages])
    read = Messages(b"".join(messages) + SPARE, np.cumsum(lengths) - lengths)
    result = fold(read, np.arange(len(messages)), columns, key)
    return result, enclose(read, [result])


def effect(fold: Fold, text: bytes, table: Table) -> Table:
    """The table after the fold has been written to it; see `pg_to_mysql.changes.write`."""

    def row(number: int, base: bytes | None = None) -> Row:
        values: Row = []
        for column in range(3):
            value = text[fold.values.starts[column, number] - 1 : fold.values.ends[column, number] + 1]
            if fold.values.kinds[column, number] == UNCHANGED:
                assert base is not None
                values.append(table[base][column])
            else:
                assert value == b"NULL" or (value[0] == value[-1] == 0)
                values.append(None if value == b"NULL" else value[1:-1])
        return values

    completed = [row(number, base) for number, base in zip(fold.partial, fold.bases, strict=True)]
    result = dict(table)
    for key in fold.deleted:
        result.pop(key, None)
    for values in [*(row(number) for number in fold.rows), *completed]:
        assert values[0] is not None
        result[values[0]] = values
    return result


def change(chance: random.Random, table: Table) -> bytes | None:
    """Make one change to the table, and return it as PostgreSQL would send it."""
    key, other = (chance.choice(b"abcdef").to_bytes(1, "big") for _ in range(2))
    small = None if chance.random() < 0.2 else chance.randbytes(2)
    large = chance.randbytes(chance.randrange(4))
    if key not in table:
        table[key] = [key, small, large]
        return insert([key, small, large])
    kind = chance.choice(["update", "whole", "unchanged", "key", "key unchanged", "delete"])
    before = table[key]
    if kind == "delete":
        del table[key]
        return delete([key, None, None])
    if kind.startswith("key") and other in table:
        return None
    unchanged = kind.endswith("unchanged")
    new = other if kind.startswith("key") else key
    del table[key]
    table[new] = [new, small, before[2] if unchanged else large]
    row = [new, small, SAME if unchanged else large]
    if kind == "whole":
        return update(row, before, b"O")
    return update(row, [key, None, None] if new != key else None)


@pytest.mark.parametrize("seed", range(500))
def test_a_fold_has_the_effect_of_its_changes(seed: int) -> None:
    chance = random.Random(seed)
    before: Table = {key: [key, b"1", b"2"] for key in (b"a", b"b", b"c", b"d")}
    table = dict(before)
    changes = [change(chance, table) for _ in range(chance.randrange(1, 25))]
    messages = [message for message in changes if message is not None]
    if messages:
        result, text = folded(messages, 3, (0,))
        assert effect(result, text, before) == table
        changed = {key for key in before.keys() | table.keys() if before.get(key) != table.get(key)}
        assert changed <= set(result.keys)
        assert len(set(result.keys)) == len(result.keys)
        assert len(result.keys) == len(result.deleted) + len(result.rows) + len(result.partial)


def test_the_columns_of_a_key_are_kept_apart() -> None:
    messages = [insert([b"a", b"bc", b"1"]), insert([b"ab", b"c", b"2"]), delete([b"a", b"bc", None])]
    result, _ = folded(messages, 3, (0, 1))
    assert result.deleted == [b"a\0bc"]
    assert sorted(result.keys) == [b"a\0bc", b"ab\0c"]
    assert len(result.rows) == 1


def test_a_large_key_that_an_update_does_not_send_is_taken_from_the_old_key() -> None:
    result, text = folded([update([SAME, b"new", None], [b"large", None, None])], 3, (0,))
    table: Table = {b"large": [b"large", b"old", b"x"]}
    assert effect(result, text, table) == {b"large": [b"large", b"new", None]}


def test_rows_are_written_in_the_order_of_a_whole_number() -> None:
    numbers = [b"12", b"100000000007", b"9", b"100000000006", b"11", b"-5"]
    result, _ = folded([insert([number, b"x", None]) for number in numbers], 3, (0,))
    # Only the first eight digits count; beyond them, rows stay in the order of the changes.
    assert [numbers[row] for row in result.rows] == [b"9", b"-5", b"11", b"12", b"100000000007", b"100000000006"]

"""A fold of changes has the effect of the changes one by one."""

import random

import pytest

from replication.fold import Fold
from replication.pgoutput import UNCHANGED, Row

Table = dict[bytes, list[bytes]]


def effect(fold: Fold, table: Table) -> Table:
    """What writing the fold makes of a table; see `replication.write`."""
    completed = {
        key: [table[partial.base[0]][i] if value is UNCHANGED else value for i, value in enumerate(partial.row)]
        for key, partial in fold.partial.items()
    }
    result = {} if fold.truncated else dict(table)
    for key in fold.deleted:
        result.pop(key[0], None)
    result.update({key[0]: row for key, row in {**fold.rows, **completed}.items()})
    return result


def change(chance: random.Random, fold: Fold, table: Table) -> None:
    """One change, to the table itself and to the fold, as PostgreSQL would send it."""
    key = chance.choice(b"abcdef").to_bytes()
    other = chance.choice(b"abcdef").to_bytes()
    small, large = chance.randbytes(2), chance.randbytes(2)
    old: Row = [key, None, None]
    if key not in table:
        table[key] = [key, small, large]
        fold.insert([key, small, large])
        return
    kind = chance.choice(["update", "unchanged", "key", "key unchanged", "delete", "truncate"])
    if kind == "truncate" and chance.random() < 0.2:
        table.clear()
        fold.truncate()
    elif kind == "delete":
        del table[key]
        fold.delete(old)
    elif kind == "update":
        table[key] = [key, small, large]
        fold.update(None, [key, small, large])
    elif kind == "unchanged":
        table[key] = [key, small, table[key][2]]
        fold.update(None, [key, small, UNCHANGED])
    elif other not in table:
        large = table.pop(key)[2]
        table[other] = [other, small, large]
        fold.update(old, [other, small, UNCHANGED if kind == "key unchanged" else large])


@pytest.mark.parametrize("seed", range(300))
def test_a_fold_has_the_effect_of_its_changes(seed: int) -> None:
    chance = random.Random(seed)
    before: Table = {key: [key, b"1", b"2"] for key in (b"a", b"b", b"c", b"d")}
    table = dict(before)
    fold = Fold(key=(0,))
    for _ in range(chance.randrange(1, 25)):
        change(chance, fold, table)
    assert effect(fold, before) == table

"""Marts of which only the parts are computed to which changed rows belong: they are what a full computation makes."""

import random
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.test_marts_models import KINDS

from martline.marts.catalogue import MARTS
from martline.marts.definition import Mart
from martline.marts.incremental.kept import Change, Kept
from martline.marts.incremental.parts import changed_tables, computed_parts, difference
from martline.marts.statement import frame_of

STATUSES = ("Pending", "Canceled", "Returned", "Delivered")
ROUNDS = 6
WITH_PARTS = {name: mart for name, mart in MARTS.items() if mart.parts}
Rows = list[tuple[Any, ...]]


def rows_of(table: str, rows: Rows) -> pa.Table:
    """With a first column ``id``, which tells the rows apart."""
    kinds = {"id": pa.int64(), **KINDS[table]}
    columns = [pa.array([row[n] for row in rows], kind) for n, kind in enumerate(kinds.values())]
    return pa.table(columns, names=list(kinds))


def row(table: str, number: int, chance: random.Random) -> tuple[Any, ...]:
    """A row whose users, products and days are few, so that they meet."""
    day = datetime(2026, 1, 1) + timedelta(days=chance.randint(0, 2), hours=chance.randint(0, 23))
    user, product, category = chance.randint(1, 6), chance.randint(1, 5), chance.randint(1, 2)
    if table == "users":
        values: tuple[Any, ...] = (number, chance.choice("ab"), "c", chance.choice(["Gold", None]), day)
    elif table == "orders":
        values = (number, user, day, Decimal(chance.randint(0, 3)), chance.choice(STATUSES))
    elif table == "orderdetails":
        values = (chance.randint(1, 12), product, Decimal(chance.randint(0, 2)))
    elif table == "products":
        values = (number, chance.choice("xy"), category)
    elif table == "productcategories":
        values = (number, chance.choice("pq"))
    elif table == "reviews":
        values = (user, product, chance.randint(1, 5), day)
    else:
        values = (user, chance.randint(-2, 2), day)
    return (number, *values)


def changed(table: str, old: Rows, chance: random.Random) -> Rows:
    """Rows of the same table, of which some are gone, some new and some others."""
    new = {one[0]: one for one in old if chance.random() > 0.1}
    for number in chance.sample(range(1, 14), 2):
        new[number] = row(table, number, chance)
    return sorted(new.values())


@pytest.mark.parametrize("mart", WITH_PARTS.values(), ids=WITH_PARTS)
def test_the_changed_parts_change_the_mart_as_computing_it_from_all_rows_does(mart: Mart, tmp_path: Path) -> None:
    chance = random.Random(11)
    columns = {table: pa.schema(KINDS[table]) for table in mart.sources}
    frame = frame_of(mart, columns)
    by_parts = 0
    with Kept.opened(tmp_path / "marts.duckdb") as kept:
        rows = {table: [row(table, number, chance) for number in range(1, 12)] for table in mart.sources}
        for table in mart.sources:
            kept.add(table, rows_of(table, rows[table]))
        kept.add(mart.name, kept.compute(frame))
        for _ in range(ROUNDS):
            changes = {}
            for table in chance.sample(sorted(mart.sources), chance.randint(1, 2)):
                new = changed(table, rows[table], chance)
                changes[table] = Change(("id",), rows_of(table, rows[table]), rows_of(table, new))
                rows[table] = new
            computed = computed_parts(kept, mart, columns, changes, changed_tables(kept, mart, changes))
            for table, change in changes.items():
                kept.replace(table, change)
            if computed:
                old = kept.rows(f"FROM {mart.name}")
                assert difference(kept, mart, columns, computed).before.num_rows <= old.num_rows
                by_parts += 1
            else:
                kept.difference(mart, frame)
            assert sorted_rows(kept, f"FROM {mart.name}") == sorted_rows(kept, kept.compute(frame))
    assert by_parts


def sorted_rows(kept: Kept, what: str | pa.Table) -> Rows:
    table = kept.rows(what) if isinstance(what, str) else what
    return sorted((tuple(one.values()) for one in table.to_pylist()), key=repr)


def test_a_change_in_a_column_that_the_mart_does_not_read_is_none(tmp_path: Path) -> None:
    mart = MARTS["mart_sales_daily"]
    old = rows_of("products", [(1, 1, "Book", 3)])
    new = rows_of("products", [(1, 1, "Novel", 3)])
    with Kept.opened(tmp_path / "marts.duckdb") as kept:
        assert changed_tables(kept, mart, {"products": Change(("id",), old, new)}) == []
        assert changed_tables(kept, MARTS["mart_product_rating"], {"products": Change(("id",), old, new)}) == [
            "products"
        ]


def test_a_row_that_belongs_to_no_part_has_the_whole_mart_computed(tmp_path: Path) -> None:
    mart = MARTS["mart_user_activity"]
    columns = {table: pa.schema(KINDS[table]) for table in mart.sources}
    moment = datetime(2026, 1, 1)
    old = rows_of("loyaltypoints", [(1, 1, 5, moment)])
    new = rows_of("loyaltypoints", [(1, None, 5, moment)])
    with Kept.opened(tmp_path / "marts.duckdb") as kept:
        changes = {"loyaltypoints": Change(("id",), old, new)}
        assert computed_parts(kept, mart, columns, changes, ["loyaltypoints"]) is None


def test_two_orders_of_a_user_on_one_day_are_in_the_same_part(tmp_path: Path) -> None:
    mart = MARTS["mart_sales_daily"]
    columns = {table: pa.schema(KINDS[table]) for table in mart.sources}
    morning, evening = datetime(2026, 1, 1, 9), datetime(2026, 1, 1, 20)
    kept_order = (1, 7, morning, Decimal(5), "Delivered")
    old = rows_of("orders", [(1, *kept_order), (2, 2, 7, evening, Decimal(5), "Delivered")])
    new = rows_of("orders", [(1, *kept_order), (2, 2, 7, evening, Decimal(5), "Canceled")])
    rows = {
        "orders": old,
        "orderdetails": rows_of("orderdetails", [(1, 1, 3, Decimal(5)), (2, 2, 3, Decimal(5))]),
        "products": rows_of("products", [(1, 3, "Book", 1)]),
    }
    with Kept.opened(tmp_path / "marts.duckdb") as kept:
        for table, those in rows.items():
            kept.add(table, those)
        kept.add(mart.name, kept.compute(frame_of(mart, columns)))
        changes = {"orders": Change(("id",), old.slice(1), new.slice(1))}
        computed = computed_parts(kept, mart, columns, changes, ["orders"])
        assert computed
        difference(kept, mart, columns, computed)
        [(orders, buyers)] = kept.connection.sql(f"SELECT orders, buyers FROM {mart.name}").fetchall()
    assert (orders, buyers) == (1, 1)

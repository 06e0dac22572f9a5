"""How tables follow PostgreSQL's catalogue, and to which columns the values of older messages belong."""

from dataclasses import replace

from pg_to_mysql.changes.views import places, seen_by
from pg_to_mysql.following.evolution import Evolved, Stopped, evolve
from pg_to_mysql.postgres.pgoutput import RelationColumn
from pg_to_mysql.tables.table import Column, Table

ID = Column(1, "id", 23, -1, "int4", not_null=True)
WORDS = Column(2, "words", 25, -1, "text")
COUNT = Column(3, "count", 23, -1, "int4")
TABLE = Table(7, "t", (ID, WORDS), (0,), storage="1", last_attnum=2, settled_attnum=2)


def evolved(live: Table, stored: Table = TABLE) -> Evolved:
    result = evolve(stored, live)
    assert isinstance(result, Evolved)
    return result


def message(*columns: Column) -> list[RelationColumn]:
    return [RelationColumn(column.name, column.type_oid, column.modifier) for column in columns]


def test_a_table_that_is_as_before_needs_no_statement() -> None:
    assert evolved(TABLE).statement is None


def test_one_statement_adds_renames_widens_and_drops() -> None:
    live = replace(
        TABLE,
        columns=(replace(ID, type_oid=20, type_name="int8"), replace(COUNT, missing="7")),
        last_attnum=3,
    )
    assert evolved(live).statement == (
        "ALTER TABLE `t` DROP COLUMN `words`, CHANGE COLUMN `id` `id` BIGINT NOT NULL, ADD COLUMN `count` INT DEFAULT ('7')"
    )
    renamed = replace(TABLE, columns=(ID, replace(WORDS, name="text")))
    assert evolved(renamed).statement == "ALTER TABLE `t` RENAME COLUMN `words` TO `text`"


def test_a_narrower_type_another_key_and_another_table_stop_it() -> None:
    wide = replace(TABLE, columns=(replace(ID, type_oid=20, type_name="int8"), WORDS))
    other_key = replace(TABLE, key=(1,))
    for stored, live in ((wide, TABLE), (TABLE, other_key), (TABLE, replace(TABLE, oid=8)), (TABLE, None)):
        assert isinstance(evolve(stored, live), Stopped)


def test_an_older_message_lacks_the_younger_columns_and_has_the_dropped_ones() -> None:
    live = replace(TABLE, columns=(ID, replace(COUNT, missing="7")), last_attnum=3)
    table = evolved(live).table
    assert places(table, message(ID, WORDS)) == (0, None)
    assert places(table, message(ID, COUNT)) == (0, 1)
    view = seen_by(table, message(ID, WORDS))
    assert not isinstance(view, Stopped)
    assert (view.table.columns, view.kept, view.key, view.width) == ((table.columns[0],), (0,), (0,), 2)


def test_a_message_with_a_former_name_belongs_to_the_renamed_column() -> None:
    table = evolved(replace(TABLE, columns=(ID, replace(WORDS, name="text")))).table
    assert places(table, message(ID, WORDS)) == places(table, message(*table.columns)) == (0, 1)


def test_a_message_with_a_name_that_no_look_has_seen_belongs_to_the_column_added_or_dropped_since() -> None:
    added = evolved(replace(TABLE, columns=(ID, WORDS, COUNT), last_attnum=3)).table
    assert places(added, message(ID, WORDS, replace(COUNT, name="number"))) == (0, 1, 2)
    dropped = evolved(replace(TABLE, columns=(ID,))).table
    assert places(dropped, message(ID, replace(WORDS, name="text"))) == (0, None)
    assert isinstance(places(TABLE, message(ID, replace(WORDS, name="text"))), Stopped)


def test_a_message_that_fits_a_dropped_column_and_its_successor_stops_the_table() -> None:
    live = replace(TABLE, columns=(ID, replace(WORDS, attnum=3)), last_attnum=3)
    assert isinstance(places(evolved(live).table, message(ID, WORDS)), Stopped)


def test_a_message_of_a_column_that_was_widened_and_dropped_before_the_next_look_belongs_to_it() -> None:
    wide = replace(COUNT, type_oid=20, type_name="int8")
    stored = replace(TABLE, columns=(ID, WORDS, COUNT), last_attnum=3, settled_attnum=3)
    table = evolved(TABLE, stored).table
    assert places(table, message(ID, WORDS, wide)) == (0, 1, None)
    assert isinstance(places(table, message(ID, WORDS, replace(COUNT, type_oid=600))), Stopped)
    # The successor has the name and the wider type too.
    successor = replace(TABLE, columns=(ID, WORDS, replace(wide, attnum=4)), last_attnum=4)
    assert isinstance(places(evolved(successor, stored).table, message(ID, WORDS, wide)), Stopped)


def test_a_message_without_the_key_stops_the_table() -> None:
    assert isinstance(seen_by(TABLE, message(WORDS)), Stopped)

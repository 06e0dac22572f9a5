"""How a snapshot is divided into tasks for its threads."""

from pg_to_mysql.snapshot.ranges import RANGE_BYTES, THREADS, Range, tasks
from pg_to_mysql.tables.table import Column, Table

TABLE = Table(1, "t", (Column(1, "id", 23, -1, "int4", not_null=True),), (0,))


def ranges(*sizes: int) -> list[Range]:
    return [Range(TABLE, "staging", i, "public", "t", i, i + 1, size) for i, size in enumerate(sizes)]


def test_ranges_of_one_table_are_tasks_of_their_own() -> None:
    assert tasks(ranges(*[2 << 20] * THREADS)) == [(part,) for part in ranges(*[2 << 20] * THREADS)]
    for size in (RANGE_BYTES * 3 // 4, RANGE_BYTES, 2 * RANGE_BYTES):
        for count in (THREADS, 4 * THREADS, 5 * THREADS):
            assert [len(task) for task in tasks(ranges(*[size] * count))] == [1] * count


def test_a_few_small_tables_occupy_all_threads() -> None:
    assert len(tasks(ranges(*[8192] * THREADS))) == THREADS


def test_many_small_tables_share_a_few_tasks_evenly() -> None:
    made = tasks(ranges(*[8192] * 200))
    assert sum(map(len, made)) == 200
    assert len(made) % THREADS == 0
    assert 10 < max(map(len, made)) < 20


def test_nothing_to_copy_makes_no_task() -> None:
    assert tasks([]) == []

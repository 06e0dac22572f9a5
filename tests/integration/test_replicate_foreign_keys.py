"""Users' own tables in MySQL with foreign keys to the replica's tables lose nothing."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.dashboard import wait_for

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT"])
def test_changes_of_a_row_leave_alone_what_points_to_it_in_mysql(
    action: str, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)")
    run("replicate", env=servers)
    query(f"""
        CREATE TABLE notes (t_id INT, note VARCHAR(20),
            CONSTRAINT to_t FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE {action})
    """)
    query("INSERT INTO notes VALUES (1, 'mine'), (2, 'mine, too')")
    source.execute("UPDATE t SET v = 10")
    run("replicate", env=servers)
    assert query("SELECT * FROM t ORDER BY id") == [(1, 10), (2, 10)]
    assert query("SELECT * FROM notes ORDER BY t_id") == [(1, "mine"), (2, "mine, too")]
    source.execute("DELETE FROM t WHERE id = 2")
    run("replicate", env=servers)
    assert query("SELECT * FROM t") == [(1, 10)]
    assert len(query("SELECT * FROM notes")) == 2
    run("replication-compare", env=servers)


def test_a_table_to_which_a_foreign_key_points_is_neither_replaced_nor_dropped(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE u (id int PRIMARY KEY)"
    )
    run("replicate", env=servers)
    query("CREATE TABLE notes (t_id INT, CONSTRAINT to_t FOREIGN KEY (t_id) REFERENCES t (id))")
    query("INSERT INTO notes VALUES (1)")
    refused = run("replicate", "--recopy", "t", "--recopy", "u", env=servers, check=False)
    assert refused.status == 1
    assert "foreign key to_t" in refused.log.splitlines()[-1]
    source.execute("DROP TABLE t; INSERT INTO u VALUES (1)")
    assert "its copy is not dropped" in run("replicate", env=servers).log
    assert query("SELECT * FROM t") == [(1,)]
    assert query("SELECT * FROM u") == [(1,)]
    query("INSERT INTO notes VALUES (1)")  # the foreign key still holds
    query("DROP TABLE notes")
    run("replicate", env=servers)
    assert ("t",) not in query("SHOW TABLES")


def test_a_dropped_table_to_which_a_foreign_key_points_stays_as_it_is_and_stops_nothing(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, start: Run
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE u (id int PRIMARY KEY)"
    )
    run("replicate", env=servers)
    query("CREATE TABLE notes (t_id INT, CONSTRAINT to_t FOREIGN KEY (t_id) REFERENCES t (id))")
    source.execute("DROP TABLE t")
    assert "its copy is not dropped" in run("replicate", env=servers).log
    assert run("replication-status", env=servers).result["tables"]["t"]["state"] == "copied"
    follower = start("replicate", "--follow", env=servers)
    for number in range(20):
        source.execute(f"INSERT INTO u VALUES ({number})")
        time.sleep(0.3)
    wait_for(lambda: query("SELECT COUNT(*) FROM u") == [(20,)])
    follower.terminate()
    _, log = follower.communicate(timeout=60)
    assert follower.returncode == 0, log
    assert log.count("its copy is not dropped") == 1
    query("DROP TABLE notes")
    run("replicate", env=servers)
    assert ("t",) not in query("SHOW TABLES")

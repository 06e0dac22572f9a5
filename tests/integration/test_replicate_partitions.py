"""Partitioned tables, inherited children, and statements of the source that a publication could make fail."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs

EVENTS = """
    CREATE SCHEMA elsewhere;
    CREATE TABLE ev (id int, d date, v int DEFAULT 0, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
    CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
    CREATE TABLE elsewhere.ev_2 PARTITION OF ev FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
    INSERT INTO ev VALUES (1, '2024-01-05'), (2, '2024-02-05');
"""
MARCH = "FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')"


def rows(source: psycopg.Connection, table: str) -> list[tuple[Any, ...]]:
    return source.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def published(source: psycopg.Connection) -> set[str]:
    return {name for (name,) in source.execute("SELECT tablename FROM pg_publication_tables").fetchall()}


def test_partitions_that_are_created_are_followed_beside_other_changes(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(EVENTS)
    run("replicate", env=servers)
    source.execute(f"ALTER TABLE ev ADD note text; CREATE TABLE ev_3 PARTITION OF ev {MARCH}")
    source.execute("ALTER TABLE ev RENAME v TO w; INSERT INTO ev VALUES (3, '2024-03-03', 3, 'n')")
    with source.transaction():
        source.execute("CREATE TABLE rest PARTITION OF ev (w DEFAULT 7) DEFAULT PARTITION BY HASH (id)")
        source.execute("CREATE TABLE elsewhere.rest_0 PARTITION OF rest FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
        source.execute("INSERT INTO ev (id, d) SELECT n, '2030-01-01' FROM generate_series(11, 19) n")
    # Attaching an empty partition causes no copy, either.
    source.execute("CREATE TABLE ev_4 (LIKE ev INCLUDING ALL)")
    source.execute("ALTER TABLE ev ATTACH PARTITION ev_4 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')")
    assert run("replicate", env=servers).result["copied"] == {}
    source.execute("UPDATE ev SET d = '2024-04-04', w = 44 WHERE id = 3; DELETE FROM ev WHERE id = 1")
    assert run("replicate", env=servers).result["copied"] == {}
    assert query("SELECT * FROM ev ORDER BY 1, 2") == rows(source, "ev")
    run("replication-compare", env=servers)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("TRUNCATE elsewhere.ev_2", "ev_2 was truncated"),
        ("DROP TABLE ev_1", "ev_1 was dropped"),
        ("ALTER TABLE ev DETACH PARTITION ev_1; ALTER TABLE ev_1 DROP CONSTRAINT ev_1_pkey", "ev_1 was dropped"),
        (
            "ALTER TABLE ev DETACH PARTITION ev_1; UPDATE ev_1 SET v = 7; ALTER TABLE ev ATTACH PARTITION ev_1"
            " FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
            "ev_1 was detached",
        ),
        (
            "CREATE TABLE ev_3 (LIKE ev INCLUDING ALL); INSERT INTO ev_3 VALUES (3, '2024-03-03');"
            f" ALTER TABLE ev ATTACH PARTITION ev_3 {MARCH}",
            "ev_3 was attached",
        ),
        (
            f"CREATE TABLE ev_3 PARTITION OF ev {MARCH}; INSERT INTO ev VALUES (3, '2024-03-03'); TRUNCATE ev_3",
            "ev_3 was attached, or truncated",
        ),
    ],
)
def test_what_the_changes_do_not_tell_of_a_partition_makes_the_table_be_copied_again(
    change: str, reason: str, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(EVENTS)
    run("replicate", env=servers)
    for statement in change.split(";"):
        source.execute(statement)
    source.execute("INSERT INTO ev VALUES (5, '2024-02-07')")
    copied = run("replicate", "ev", env=servers)
    assert reason in copied.log
    assert list(copied.result["copied"]) == ["ev"]
    assert query("SELECT * FROM ev ORDER BY 1, 2") == rows(source, "ev")
    run("replication-compare", "ev", env=servers)


def test_a_replicated_table_that_becomes_a_partition_is_part_of_the_other_one(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        EVENTS + "CREATE TABLE ev_3 (LIKE ev INCLUDING ALL); INSERT INTO ev_3 VALUES (3, '2024-03-03')"
    )
    run("replicate", env=servers)
    source.execute(f"ALTER TABLE ev ATTACH PARTITION ev_3 {MARCH}; UPDATE ev SET v = 9")
    run("replicate", env=servers)
    assert query("SELECT * FROM ev ORDER BY 1, 2") == rows(source, "ev")
    assert {name for (name,) in query("SHOW TABLES") if not name.startswith("_")} == {"ev"}
    source.execute("UPDATE ev SET v = 10")
    run("replicate", env=servers)
    assert query("SELECT DISTINCT v FROM ev") == [(10,)]


def test_the_primary_key_is_the_key_whatever_the_identity_of_the_partitioned_table_says(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("""
        CREATE TABLE o (id int, code text NOT NULL, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
        CREATE UNIQUE INDEX o_code ON o (code, d); ALTER TABLE o REPLICA IDENTITY USING INDEX o_code;
        CREATE TABLE o_1 PARTITION OF o FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE o_2 PARTITION OF o FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        ALTER TABLE o_2 REPLICA IDENTITY FULL;
        INSERT INTO o VALUES (1, 'a', '2024-01-05'), (2, 'b', '2024-02-05'), (3, 'c', '2025-02-05');
    """)
    run("replicate", env=servers)
    source.execute("DELETE FROM o WHERE id = 1; UPDATE o SET code = code || code, d = d + 366 WHERE id = 2")
    source.execute("UPDATE o SET id = 33 WHERE id = 3")
    assert run("replicate", env=servers).result["copied"] == {}
    assert query("SELECT * FROM o ORDER BY 1, 2") == rows(source, "o")


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (
            "CREATE TABLE o (id int NOT NULL, v int) PARTITION BY RANGE (id); CREATE UNIQUE INDEX ON o (id);"
            "ALTER TABLE o REPLICA IDENTITY FULL; CREATE TABLE o_1 PARTITION OF o FOR VALUES FROM (0) TO (9)",
            "o: it is partitioned and has no primary key",
        ),
        (
            "CREATE TABLE o (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);"
            "CREATE TABLE o_1 PARTITION OF o FOR VALUES FROM (0) TO (9) PARTITION BY LIST (id);"
            "CREATE TABLE o_11 PARTITION OF o_1 DEFAULT; ALTER TABLE o_11 REPLICA IDENTITY NOTHING",
            "its partition o_11 has a REPLICA IDENTITY that does not tell",
        ),
        (
            "CREATE TABLE o (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);"
            "CREATE UNLOGGED TABLE o_1 PARTITION OF o FOR VALUES FROM (0) TO (9)",
            "its partition o_1 is not logged",
        ),
        ("CREATE TABLE o (id int PRIMARY KEY DEFERRABLE, v int)", "o: it has no primary key"),
    ],
)
def test_a_table_whose_updates_postgresql_would_refuse_is_not_published(
    tables: str, reason: str, servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute(tables)
    source.execute("INSERT INTO o VALUES (1, 1); CREATE TABLE t (id int PRIMARY KEY)")
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert reason in refused.log
    source.execute(run("replication-roles", "postgresql", "--role", servers["PGUSER"], env=servers).output)
    assert published(source) == {"t"}
    source.execute("UPDATE o SET v = 2; DELETE FROM o")


def test_inherited_children_are_published_only_as_tables_of_their_own(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE vehicle (id int PRIMARY KEY, name text)")
    source.execute("CREATE TABLE car (doors int) INHERITS (vehicle); INSERT INTO car VALUES (2, 'c', 4)")
    run("replicate", "vehicle", env=servers)
    assert published(source) == {"vehicle"}
    source.execute(run("replication-roles", "postgresql", "--role", servers["PGUSER"], env=servers).output)
    source.execute("UPDATE car SET doors = 3; INSERT INTO vehicle VALUES (1, 'v')")
    # As an earlier version did.
    source.execute(f"ALTER PUBLICATION replication_{servers['PGDATABASE']} ADD TABLE car")
    run("replicate", "vehicle", env=servers)
    source.execute("UPDATE car SET doors = 2")
    assert query("SELECT * FROM vehicle") == [(1, "v")]


def test_a_table_that_loses_its_key_leaves_the_publication(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)")
    assert run("replicate", env=servers, check=False).status == 1
    source.execute("UPDATE t SET id = 2")
    assert published(source) == {"u"}
    assert query("SELECT * FROM u") == [(1,)]


def test_a_table_that_was_emptied_and_has_another_column_is_copied_again(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
    source.execute("CREATE TABLE u (id int PRIMARY KEY, v int); INSERT INTO u VALUES (1, 1)")
    run("replicate", env=servers)
    source.execute(
        "TRUNCATE t, u; INSERT INTO t VALUES (2, 2); ALTER TABLE t ADD w text; INSERT INTO u VALUES (3)"
    )
    source.execute("ALTER TABLE u RENAME v TO w; INSERT INTO t VALUES (3, 3, 'w')")
    run("replicate", env=servers)
    assert query("SELECT * FROM t ORDER BY 1") == rows(source, "t")
    assert query("SELECT * FROM u ORDER BY 1") == rows(source, "u")


def test_the_roles_of_replication_roles_may_read_partitions_in_other_schemas(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute(EVENTS)
    source.execute(
        "REVOKE SELECT ON elsewhere.ev_2 FROM CURRENT_USER; REVOKE ALL ON SCHEMA elsewhere FROM CURRENT_USER"
    )
    assert run("replicate", env=servers, check=False).status == 1
    source.execute(run("replication-roles", "postgresql", "--role", servers["PGUSER"], env=servers).output)
    assert run("replicate", env=servers).result["copied"] == {"ev": 2}


def test_a_partition_that_is_detached_concurrently_takes_its_rows_along(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("""
        CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (10);
        CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (10) TO (20);
        INSERT INTO t VALUES (1), (11);
    """)
    run("replicate", env=servers)
    source.execute("ALTER TABLE t DETACH PARTITION t_high CONCURRENTLY")
    source.execute("INSERT INTO t VALUES (2); INSERT INTO t_high VALUES (12)")
    run("replicate", env=servers)
    assert query("SELECT * FROM t ORDER BY id") == [(1,), (2,)]
    assert query("SELECT * FROM t_high ORDER BY id") == [(11,), (12,)]
    run("replication-compare", env=servers)


def test_a_partition_that_is_a_foreign_table_stops_its_table_alone_until_it_is_detached(
    servers: dict[str, str], source: psycopg.Connection, server: Any, pair: tuple[str, str], query: Any, run: Run
) -> None:
    source.execute("""
        CREATE TABLE good (id int PRIMARY KEY); INSERT INTO good VALUES (1);
        CREATE TABLE t (id int, v int) PARTITION BY RANGE (id);
        CREATE TABLE t_low PARTITION OF t (PRIMARY KEY (id)) FOR VALUES FROM (0) TO (10);
    """)
    with server(pair[0]).admin(servers["PGDATABASE"]) as admin:
        admin.execute(f"""
            CREATE FOREIGN DATA WRAPPER w;
            CREATE SERVER elsewhere FOREIGN DATA WRAPPER w;
            CREATE FOREIGN TABLE t_far PARTITION OF t FOR VALUES FROM (10) TO (20) SERVER elsewhere;
            ALTER FOREIGN TABLE t_far OWNER TO {servers["PGUSER"]};
        """)
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert "t: it" in refused.log.splitlines()[-1]
    assert query("SELECT * FROM good") == [(1,)]
    source.execute("INSERT INTO t VALUES (1, 1); UPDATE t SET v = 2 WHERE id < 10")
    source.execute("ALTER TABLE t DETACH PARTITION t_far; ALTER TABLE t ADD PRIMARY KEY (id)")
    assert run("replicate", env=servers).result["copied"] == {"t": 1}

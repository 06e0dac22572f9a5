"""Row level security hides no row: the copy and the comparison refuse a table whose rows it would hide."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs


def test_a_table_of_which_a_policy_hides_rows_is_refused_and_the_others_are_copied(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("""
        CREATE TABLE hidden (id int PRIMARY KEY, tenant text); INSERT INTO hidden VALUES (1, 'a'), (2, 'b');
        CREATE TABLE seen (id int PRIMARY KEY); INSERT INTO seen VALUES (1);
        ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
        CREATE POLICY p ON hidden USING (tenant = 'a');
    """)
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert "hidden" in refused.log.splitlines()[-1]
    assert query("SELECT * FROM seen") == [(1,)]
    assert ("hidden",) not in query("SHOW TABLES")
    source.execute("ALTER TABLE hidden NO FORCE ROW LEVEL SECURITY")
    assert run("replicate", env=servers).result["copied"] == {"hidden": 2}
    source.execute("ALTER TABLE hidden FORCE ROW LEVEL SECURITY")
    compared = run("replication-compare", env=servers, check=False)
    assert compared.status == 1
    assert "hidden" in compared.log.splitlines()[-1]
    source.execute("INSERT INTO seen VALUES (2); ALTER TABLE hidden NO FORCE ROW LEVEL SECURITY")
    run("replicate", "--recopy", "hidden", env=servers)
    run("replication-compare", env=servers)

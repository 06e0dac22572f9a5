"""The marts of a large shop in MySQL, and roles that can read them.

The platform's own commands generate and replicate a shop of a hundredth of the size, and build its marts. Then
these are multiplied in MySQL: each user and product becomes a hundred, and the numbers of orders, buyers and
returns and the sums become a hundred times as large. Building the marts of ten million orders would take about
twenty minutes, and the pages would read the same tables.
"""

import os
import secrets
import subprocess
import sys
from typing import Any

from benchmarks.commands import PROGRAMS, sizes
from benchmarks.replication.servers import Servers
from psycopg import sql

from martline.dashboard.tables import postgres_role_statements, role_statements

DATABASE, ROLE = "dashboard", "dashboard"
TIMES = 100
COPIED = {"mart_customer_rfm": "user_id", "mart_product_rating": "product_id"}
"""Marts in which each row is copied a hundred times, and the column in which the copies differ."""
MULTIPLIED = {
    "mart_average_check": ("orders",),
    "mart_sales_daily": ("orders", "buyers", "revenue", "returns"),
    "mart_cohort_retention": ("users", "active_users"),
}
"""Marts whose numbers become a hundred times as large."""
KEYS_APART = 10_000_000
"""The distance between the keys of two copies of a row."""


def make_marts(made: Servers, orders: int) -> dict[str, int]:
    """Make the marts of this number of orders, and return the number of rows of each."""
    environment = {**os.environ, **made.environment(DATABASE)}
    made.fresh_source(DATABASE)
    made.fresh_target(DATABASE)
    for command in (["shop-init"], ["shop-generate", *sizes(orders // TIMES)], ["replicate"], ["build-marts"]):
        print(f"{orders // TIMES:,} orders: {command[0]}", file=sys.stderr, flush=True)
        program = str(PROGRAMS / command[0])
        subprocess.run([program, *command[1:]], env=environment, check=True, stdout=subprocess.DEVNULL)
    print(f"{orders:,} orders: the marts, multiplied", file=sys.stderr, flush=True)
    with made.target(DATABASE) as connection, connection.cursor() as cursor:
        for mart, key in COPIED.items():
            _copy(cursor, mart, key)
        for mart, columns in MULTIPLIED.items():
            cursor.execute(f"UPDATE {mart} SET " + ", ".join(f"{name} = {name} * {TIMES}" for name in columns))
        return {mart: _count(cursor, mart) for mart in (*COPIED, *MULTIPLIED)}


def _copy(cursor: Any, mart: str, key: str) -> None:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s"
        " ORDER BY ordinal_position",
        [mart],
    )
    columns = [f"`{name}`" for (name,) in cursor.fetchall()]
    values = [f"m.{name} + n * {KEYS_APART}" if name == f"`{key}`" else f"m.{name}" for name in columns]
    cursor.execute(
        f"INSERT INTO {mart} ({', '.join(columns)}) WITH RECURSIVE copies (n) AS"
        f" (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n + 1 < {TIMES})"
        f" SELECT {', '.join(values)} FROM {mart} m, copies"
    )


def _count(cursor: Any, mart: str) -> int:
    cursor.execute(f"SELECT COUNT(*) FROM {mart}")
    [(count,)] = cursor.fetchall()
    cursor.execute("UPDATE mart_versions SET `rows` = %s WHERE mart = %s", [count, mart])
    return int(count)


def reader(made: Servers) -> dict[str, str]:
    """The environment of a dashboard whose roles can read these marts and the progress of the replication."""
    password = secrets.token_hex(16)
    with made.target(DATABASE) as connection, connection.cursor() as cursor:
        for statement in role_statements(ROLE, "%", DATABASE):
            cursor.execute(statement)
        cursor.execute(f"ALTER USER {ROLE} IDENTIFIED BY %s ACCOUNT UNLOCK", [password])
    with made.source(DATABASE) as source:
        for statement in postgres_role_statements(ROLE):
            source.execute(statement.encode())
        source.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), password))
    logins = {"PGUSER": ROLE, "PGPASSWORD": password, "MYSQL_USER": ROLE, "MYSQL_PWD": password}
    return {**os.environ, **made.environment(DATABASE), **logins}

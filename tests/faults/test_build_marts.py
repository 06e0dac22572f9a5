"""``build-marts`` is killed at critical moments."""

import time
from collections.abc import Callable
from typing import Any

import psutil
from tests.connections import to_mysql

from martline.marts.catalogue import MARTS

SOURCES = """
    CREATE TABLE users (user_id BIGINT PRIMARY KEY, first_name TEXT, last_name TEXT, loyalty_status TEXT,
        registration_date DATETIME(6));
    CREATE TABLE productcategories (category_id BIGINT PRIMARY KEY, name TEXT);
    CREATE TABLE products (product_id BIGINT PRIMARY KEY, name TEXT, category_id BIGINT);
    CREATE TABLE orders (order_id BIGINT PRIMARY KEY, user_id BIGINT, order_date DATETIME(6),
        total_amount DECIMAL(12,2), status TEXT);
    CREATE TABLE orderdetails (order_detail_id BIGINT PRIMARY KEY, order_id BIGINT, product_id BIGINT,
        total_price DECIMAL(12,2));
    CREATE TABLE reviews (review_id BIGINT PRIMARY KEY, user_id BIGINT, product_id BIGINT, rating SMALLINT,
        created_at DATETIME(6));
    CREATE TABLE loyaltypoints (loyalty_id BIGINT PRIMARY KEY, user_id BIGINT, points INT,
        created_at DATETIME(6));
    INSERT INTO users VALUES (1, 'Ада', 'Байрон', 'Gold', '2026-01-01');
    INSERT INTO productcategories VALUES (1, 'Книги');
    INSERT INTO products VALUES (1, 'Роман', 1);
    INSERT INTO orders VALUES (1, 1, '2026-01-01', 10, 'Shipped')
"""


def test_a_killed_build_leaves_the_old_marts_and_nothing_that_the_next_does_not_clear(
    mysql: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    with (
        to_mysql(mysql) as connection,
        connection.cursor() as database,
        to_mysql(mysql) as reader,
    ):

        def tables() -> set[str]:
            database.execute("SHOW TABLES")
            return {name for (name,) in database}

        for statement in SOURCES.split(";"):
            database.execute(statement)
        for mart in MARTS:
            database.execute(f"CREATE TABLE {mart} AS SELECT 'old' AS version")
        before = tables()

        for sign_of_progress in (
            "_staging_mart_average_check",
            "_staging_mart_user_activity",
            "_staging_mart_versions",
        ):
            # While this transaction is open, no build can replace the mart.
            reader.begin()
            reader.query(f"SELECT * FROM {next(iter(MARTS))}")
            build = start("build-marts", env=mysql)
            while sign_of_progress not in tables():
                assert build.poll() is None, build.stderr.read()
                time.sleep(0.01)
            java = psutil.Process(build.pid).children(recursive=True)
            build.kill()
            build.wait()
            _, alive = psutil.wait_procs(java, timeout=20)
            assert not alive
            database.execute("SELECT id FROM information_schema.processlist WHERE info LIKE 'RENAME TABLE%'")
            for (session,) in database.fetchall():
                database.execute(f"KILL {session}")
            reader.rollback()
            for mart in MARTS:
                database.execute(f"SELECT version FROM {mart}")
                assert database.fetchall() == (("old",),)

        assert set(run("build-marts", env=mysql).result["marts"]) == set(MARTS)
        kept = {f"_last_{table}" for table in (*MARTS, "mart_versions")}
        assert tables() == before | kept | {"mart_versions", "mart_runs", "mart_checks", "mart_lineage"}
        database.execute("SELECT outcome FROM mart_runs ORDER BY run_id")
        assert [outcome for (outcome,) in database.fetchall()] == ["killed"] * 3 + ["published"]
        assert run("check-marts", env=mysql).result["failed"] == 0

"""``build-marts`` killed at the moments that matter."""

import time
from collections.abc import Callable
from typing import Any

import psutil
from tests.connections import to_mysql

SOURCES = """
    CREATE TABLE users (user_id BIGINT PRIMARY KEY, first_name TEXT, last_name TEXT, loyalty_status TEXT);
    CREATE TABLE productcategories (category_id BIGINT PRIMARY KEY, name TEXT);
    CREATE TABLE products (product_id BIGINT PRIMARY KEY, name TEXT, category_id BIGINT);
    CREATE TABLE orders (order_id BIGINT PRIMARY KEY, user_id BIGINT, order_date DATETIME(6),
        total_amount DECIMAL(12,2), status TEXT);
    CREATE TABLE reviews (review_id BIGINT PRIMARY KEY, user_id BIGINT, product_id BIGINT, rating SMALLINT,
        created_at DATETIME(6));
    CREATE TABLE loyaltypoints (loyalty_id BIGINT PRIMARY KEY, user_id BIGINT, points INT,
        created_at DATETIME(6));
    INSERT INTO users VALUES (1, 'Ада', 'Байрон', 'Gold');
    INSERT INTO productcategories VALUES (1, 'Книги');
    INSERT INTO products VALUES (1, 'Роман', 1);
    INSERT INTO orders VALUES (1, 1, '2026-01-01', 10, 'Shipped')
"""
MARTS = ("mart_user_activity", "mart_product_rating", "mart_average_check")


def test_a_killed_build_leaves_the_old_marts_and_nothing_that_the_next_does_not_clear(
    mysql: dict[str, str], spark: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    with (
        to_mysql(mysql) as connection,
        connection.cursor() as database,
    ):

        def tables() -> set[str]:
            database.execute("SHOW TABLES")
            return {name for (name,) in database}

        for statement in SOURCES.split(";"):
            database.execute(statement)
        for mart in MARTS:
            database.execute(f"CREATE TABLE {mart} AS SELECT 'old' AS version")
        before = tables()

        for sign_of_progress in ("_staging__mart_builds", f"_staging_{MARTS[0]}", f"_staging_{MARTS[2]}"):
            build = start("build-marts", env=mysql | spark)
            while sign_of_progress not in tables():
                assert build.poll() is None, build.stderr.read()
                time.sleep(0.01)
            java = psutil.Process(build.pid).children(recursive=True)
            build.kill()
            build.wait()
            _, alive = psutil.wait_procs(java, timeout=20)
            assert not alive
            for mart in MARTS:
                database.execute(f"SELECT version FROM {mart}")
                assert database.fetchall() == (("old",),)

        assert run("build-marts", env=mysql | spark).result["rows_written"] == 3
        assert tables() == before | {"_mart_builds"}
        assert run("check-marts", env=mysql).result["failed"] == 0

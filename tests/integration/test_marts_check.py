"""``check-marts`` finds what is wrong with published marts, and names it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import ibis
import pytest
from tests.connections import to_mysql

from martline.marts import checks, publish
from martline.marts.catalogue import MARTS
from martline.marts.checks import checks_of
from martline.marts.reading.moment import Moment
from martline.marts.runs import Run
from martline.marts.totals import counting
from pg_to_mysql.command_line.environment import mysql_from_environment
from pg_to_mysql.mysql.collation import collation_on

COMPUTED = ibis.schema(dict.fromkeys(("amount_spent", "monetary", "revenue"), "decimal(22, 2)"))
"""The columns whose precision depends on the sources, with the types that a computation would give them."""
SOURCES = """
    CREATE TABLE users (user_id BIGINT PRIMARY KEY);
    CREATE TABLE orders (order_id BIGINT PRIMARY KEY);
    CREATE TABLE products (product_id BIGINT PRIMARY KEY);
    CREATE TABLE productcategories (category_id BIGINT PRIMARY KEY);
    CREATE TABLE reviews (review_id BIGINT PRIMARY KEY);
    CREATE TABLE _replication (slot VARCHAR(63) PRIMARY KEY, applied_lsn BIGINT, applied_changes BIGINT);
    INSERT INTO _replication VALUES ('shop', 7, 0);
    INSERT INTO users VALUES (1), (2);
    INSERT INTO orders VALUES (1), (2);
    INSERT INTO products VALUES (1), (2);
    INSERT INTO productcategories VALUES (1);
    INSERT INTO reviews VALUES (1)
"""
HEALTHY = """
    INSERT INTO mart_user_activity (user_id, orders, amount_spent, reviews, average_rating, loyalty_points,
        first_activity_at, last_activity_at)
    VALUES (1, 2, 30, 1, 4, 5, '2026-01-01', '2026-01-02'), (2, 0, 0, 0, NULL, 0, NULL, NULL);
    INSERT INTO mart_product_rating (product_id, average_rating, reviews) VALUES (1, 4, 1), (2, NULL, 0);
    INSERT INTO mart_average_check VALUES ('Shipped', 'Gold', 2, 15);
    INSERT INTO mart_sales_daily VALUES ('2026-01-01', 1, 2, 1, 30, 15, 0);
    INSERT INTO mart_customer_rfm VALUES (1, 0, 2, 30, 5, 5, 5, 'Champions'),
        (2, NULL, 0, 0, NULL, NULL, NULL, 'No orders');
    INSERT INTO mart_cohort_retention VALUES ('2026-01-01', 0, 2, 1, 50)
"""
ROWS = {
    "mart_user_activity": 2,
    "mart_product_rating": 2,
    "mart_average_check": 1,
    "mart_sales_daily": 1,
    "mart_customer_rfm": 2,
    "mart_cohort_retention": 1,
}
"""The number of rows of each healthy mart."""

DEFECTS = {
    "mart_user_activity fails key_is_unique_and_set: 1 offending rows, such as user_id 1": (
        "ALTER TABLE mart_user_activity DROP PRIMARY KEY; UPDATE mart_user_activity SET user_id = 1"
    ),
    "mart_product_rating fails key_is_unique_and_set: 1 offending rows, such as product_id None": (
        "ALTER TABLE mart_product_rating DROP PRIMARY KEY, MODIFY product_id BIGINT NULL;"
        "UPDATE mart_product_rating SET product_id = NULL WHERE product_id = 2"
    ),
    "mart_average_check fails key_is_unique_and_set: 1 offending rows, such as order_status Shipped, loyalty": (
        "ALTER TABLE mart_average_check DROP PRIMARY KEY;"
        "INSERT INTO mart_average_check VALUES ('Shipped', 'Gold', 1, 1)"
    ),
    "mart_sales_daily fails key_is_unique_and_set: 1 offending rows, such as day 2026-01-01, category_id 1": (
        "ALTER TABLE mart_sales_daily DROP PRIMARY KEY;"
        "INSERT INTO mart_sales_daily VALUES ('2026-01-01', 1, 2, 1, 30, 15, 0)"
    ),
    "mart_customer_rfm fails key_is_unique_and_set: 1 offending rows, such as user_id 1": (
        "ALTER TABLE mart_customer_rfm DROP PRIMARY KEY; UPDATE mart_customer_rfm SET user_id = 1"
    ),
    "mart_cohort_retention fails key_is_unique_and_set: 1 offending rows, such as cohort_month 2026-01-01": (
        "ALTER TABLE mart_cohort_retention DROP PRIMARY KEY;"
        "INSERT INTO mart_cohort_retention VALUES ('2026-01-01', 0, 2, 1, 50)"
    ),
    "mart_user_activity fails rows_are_those_built: 1 offending rows, such as present 1, built 2": (
        "DELETE FROM mart_user_activity WHERE user_id = 2"
    ),
    "mart_product_rating fails rows_are_those_built: 1 offending rows, such as present 3, built 2": (
        "INSERT INTO mart_product_rating (product_id, reviews) VALUES (3, 0)"
    ),
    "mart_average_check fails rows_are_those_built: 1 offending rows, such as present 1, built 7": (
        "UPDATE mart_versions SET `rows` = 7 WHERE mart = 'mart_average_check'"
    ),
    "mart_sales_daily fails rows_are_those_built: 1 offending rows, such as present 0, built 1": (
        "DELETE FROM mart_sales_daily"
    ),
    "mart_customer_rfm fails rows_are_those_built: 1 offending rows, such as present 1, built 2": (
        "DELETE FROM mart_customer_rfm WHERE user_id = 2"
    ),
    "mart_cohort_retention fails rows_are_those_built: 1 offending rows, such as present 0, built 1": (
        "DELETE FROM mart_cohort_retention"
    ),
    "mart_user_activity fails nothing_is_negative: 2 offending rows, such as user_id 1": (
        "UPDATE mart_user_activity SET reviews = -1"
    ),
    "mart_user_activity fails amount_spent_needs_orders: 1 offending rows, such as user_id 2": (
        "UPDATE mart_user_activity SET amount_spent = 0.01 WHERE user_id = 2"
    ),
    "mart_user_activity fails average_rating_is_1_to_5: 1 offending rows, such as user_id 1": (
        "UPDATE mart_user_activity SET average_rating = 0.99 WHERE user_id = 1"
    ),
    "mart_user_activity fails average_rating_iff_reviews: 1 offending rows, such as user_id 2": (
        "UPDATE mart_user_activity SET average_rating = 3 WHERE user_id = 2"
    ),
    "mart_user_activity fails first_activity_is_before_last: 1 offending rows, such as user_id 1": (
        "UPDATE mart_user_activity SET last_activity_at = '2025-12-31' WHERE user_id = 1"
    ),
    "mart_user_activity fails first_activity_iff_last: 1 offending rows, such as user_id 1": (
        "UPDATE mart_user_activity SET last_activity_at = NULL WHERE user_id = 1"
    ),
    "mart_user_activity fails user_id_is_in_users: 1 offending rows, such as user_id 2": (
        "DELETE FROM users WHERE user_id = 2"
    ),
    "mart_user_activity fails orders_are_those_of_the_source: 1 offending rows, such as here 2, there 3": (
        "INSERT INTO orders VALUES (3)"
    ),
    "mart_product_rating fails nothing_is_negative: 1 offending rows, such as product_id 1": (
        "UPDATE mart_product_rating SET reviews = -1 WHERE product_id = 1"
    ),
    "mart_product_rating fails average_rating_is_1_to_5: 1 offending rows, such as product_id 1": (
        "UPDATE mart_product_rating SET average_rating = 5.01 WHERE product_id = 1"
    ),
    "mart_product_rating fails average_rating_iff_reviews: 1 offending rows, such as product_id 1": (
        "UPDATE mart_product_rating SET average_rating = NULL"
    ),
    "mart_product_rating fails product_id_is_in_products: 1 offending rows, such as product_id 2": (
        "DELETE FROM products WHERE product_id = 2"
    ),
    "mart_product_rating fails reviews_are_those_of_the_source: 1 offending rows, such as here 1, there 2": (
        "INSERT INTO reviews VALUES (2)"
    ),
    "mart_average_check fails orders_are_positive: 1 offending rows, such as order_status Shipped, loyalty": (
        "UPDATE mart_average_check SET orders = 0"
    ),
    "mart_average_check fails nothing_is_negative: 1 offending rows, such as order_status": (
        "UPDATE mart_average_check SET average_amount = -1"
    ),
    "mart_average_check fails orders_add_up: 1 offending rows, such as here 3, there 2": (
        "UPDATE mart_average_check SET orders = 3"
    ),
    "mart_sales_daily fails nothing_is_negative: 1 offending rows, such as day 2026-01-01": (
        "UPDATE mart_sales_daily SET returns = -1"
    ),
    "mart_sales_daily fails something_has_happened: 1 offending rows, such as day 2026-01-01": (
        "UPDATE mart_sales_daily SET orders = 0, buyers = 0, average_check = NULL"
    ),
    "mart_sales_daily fails buyers_have_ordered: 1 offending rows, such as day 2026-01-01": (
        "UPDATE mart_sales_daily SET buyers = 3"
    ),
    "mart_sales_daily fails average_check_iff_orders: 1 offending rows, such as day 2026-01-01": (
        "UPDATE mart_sales_daily SET average_check = NULL"
    ),
    "mart_sales_daily fails category_id_is_in_productcategories: 1 offending rows, such as day 2026-01-01": (
        "DELETE FROM productcategories"
    ),
    "mart_customer_rfm fails nothing_is_negative: 1 offending rows, such as user_id 1": (
        "UPDATE mart_customer_rfm SET recency_days = -1 WHERE user_id = 1"
    ),
    "mart_customer_rfm fails recency_score_is_1_to_5: 1 offending rows, such as user_id 1": (
        "UPDATE mart_customer_rfm SET recency_score = 6 WHERE user_id = 1"
    ),
    "mart_customer_rfm fails frequency_score_is_1_to_5: 1 offending rows, such as user_id 1": (
        "UPDATE mart_customer_rfm SET frequency_score = 0 WHERE user_id = 1"
    ),
    "mart_customer_rfm fails monetary_score_is_1_to_5: 1 offending rows, such as user_id 1": (
        "UPDATE mart_customer_rfm SET monetary_score = 6 WHERE user_id = 1"
    ),
    "mart_customer_rfm fails recency_iff_orders: 1 offending rows, such as user_id 1": (
        "UPDATE mart_customer_rfm SET recency_days = NULL WHERE user_id = 1"
    ),
    "mart_customer_rfm fails segment_is_known: 1 offending rows, such as user_id 2": (
        "UPDATE mart_customer_rfm SET segment = 'Nobody' WHERE user_id = 2"
    ),
    "mart_customer_rfm fails user_id_is_in_users: 1 offending rows, such as user_id 1": (
        "DELETE FROM users WHERE user_id = 1"
    ),
    "mart_customer_rfm fails monetary_is_what_users_have_spent: 1 offending rows, such as here 31.00": (
        "UPDATE mart_customer_rfm SET monetary = 31 WHERE user_id = 1"
    ),
    "mart_cohort_retention fails nothing_is_negative: 1 offending rows, such as cohort_month 2026-01-01": (
        "UPDATE mart_cohort_retention SET active_users = -1"
    ),
    "mart_cohort_retention fails active_users_are_of_the_cohort: 1 offending rows, such as cohort_month": (
        "UPDATE mart_cohort_retention SET active_users = 3"
    ),
    "mart_cohort_retention fails retention_percent_is_0_to_100: 1 offending rows, such as cohort_month": (
        "UPDATE mart_cohort_retention SET retention_percent = 101"
    ),
    **{
        f"{mart} fails is_fresh: 1 offending rows, such as built at 2026-01-01 00:00 UTC": (
            f"UPDATE mart_versions SET built_at = '2026-01-01' WHERE mart = '{mart}'"
        )
        for mart in ROWS
    },
}


ALL_CHECKS = {f"{name} fails is_fresh" for name in MARTS} | {
    f"{name} fails {check.name}" for name, mart in MARTS.items() for check in checks_of(mart)
}


@pytest.fixture
def database(mysql: dict[str, str]) -> Iterator[Any]:
    """A cursor on a database with healthy marts, published by one build."""
    with to_mysql(mysql) as connection, connection.cursor() as cursor:
        publish.create_versions(connection)
        for name, mart in MARTS.items():
            cursor.execute(mart.create_statement(publish.staging(name), COMPUTED, collation_on(connection)))
        run = Run(1, datetime.now(UTC).replace(tzinfo=None))
        publish.stage_versions(connection, run, Moment((("shop", 7, 0),)), ROWS)
        publish.swap_in(connection, list(MARTS))
        for statement in f"{SOURCES};{HEALTHY}".split(";"):
            cursor.execute(statement)
        yield cursor


@pytest.mark.usefixtures("database")
def test_healthy_marts_pass_every_check(mysql: dict[str, str], run: Callable[..., Any]) -> None:
    result = run("check-marts", env=mysql).result
    assert (result["checks"], result["failed"]) == (len(ALL_CHECKS), 0)


def test_what_compares_with_a_replica_that_has_gone_on_is_skipped(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    database.execute("INSERT INTO orders VALUES (3)")
    database.execute("UPDATE _replication SET applied_lsn = 8")
    result = run("check-marts", env=mysql).result
    compared = sum(check.table is not None for mart in MARTS.values() for check in checks_of(mart))
    assert (result["checks"], result["skipped"]) == (len(ALL_CHECKS) - compared, compared)


def test_rows_are_counted_as_of_the_moment_of_the_marts_and_the_table_can_be_altered_afterwards(
    database: Any, mysql: dict[str, str]
) -> None:
    moment = Moment((("shop", 7, 0),))
    [(total, _)] = checks.totals_of([MARTS["mart_product_rating"]]).items()
    with counting(mysql_from_environment(mysql)) as totals, to_mysql(mysql) as connection:
        totals.begin([total])
        database.execute("INSERT INTO reviews VALUES (2)")
        database.execute("UPDATE _replication SET applied_lsn = 8")
        assert totals.get(total) == 1
        database.execute("SET lock_wait_timeout = 5")
        database.execute("ALTER TABLE reviews ADD COLUMN text TEXT")
        tables = {publish.VERSIONS: publish.VERSIONS} | {mart: mart for mart in MARTS}
        states = {
            outcome.check: outcome.state
            for outcome in checks.run(connection, tables, ["mart_product_rating"], moment, totals)
        }
    assert (states["reviews_are_those_of_the_source"], states["product_id_is_in_products"]) == (
        "passed",
        "skipped",
    )


@pytest.mark.parametrize("sentence", DEFECTS)
def test_a_defect_is_named_with_its_mart_how_many_rows_and_a_sample(
    database: Any, mysql: dict[str, str], run: Callable[..., Any], sentence: str
) -> None:
    for statement in DEFECTS[sentence].split(";"):
        database.execute(statement)
    failed = run("check-marts", env=mysql, check=False)
    assert failed.status == 1
    assert len(failed.log.splitlines()) == 1
    assert sentence in failed.log


def test_every_check_has_a_defect_that_it_finds() -> None:
    assert {sentence.split(":")[0] for sentence in DEFECTS} == ALL_CHECKS


def test_marts_that_were_never_built_ask_for_build_marts(mysql: dict[str, str], run: Callable[..., Any]) -> None:
    failed = run("check-marts", env=mysql, check=False)
    assert failed.status == 1
    assert "run build-marts first" in failed.log

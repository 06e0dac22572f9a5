"""``check-marts`` finds what is wrong with published marts, and names it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from pyspark.sql.types import DecimalType, StructType
from tests.connections import to_mysql

from martline.marts import publish
from martline.marts.catalogue import MARTS
from martline.marts.checks import CHECKS

COMPUTED = StructType().add("amount_spent", DecimalType(22, 2))
"""As Spark would compute the columns whose digits follow from the sources."""
HEALTHY = """
    INSERT INTO mart_user_activity (user_id, orders, amount_spent, reviews, average_rating, loyalty_points,
        first_activity_at, last_activity_at)
    VALUES (1, 2, 30, 1, 4, 5, '2026-01-01', '2026-01-02'), (2, 0, 0, 0, NULL, 0, NULL, NULL);
    INSERT INTO mart_product_rating (product_id, average_rating, reviews) VALUES (1, 4, 1), (2, NULL, 0);
    INSERT INTO mart_average_check VALUES ('Shipped', 'Gold', 2, 15)
"""

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
    "mart_user_activity fails rows_are_those_built: 1 offending rows, such as present 1, built 2": (
        "DELETE FROM mart_user_activity WHERE user_id = 2"
    ),
    "mart_product_rating fails rows_are_those_built: 1 offending rows, such as present 3, built 2": (
        "INSERT INTO mart_product_rating (product_id, reviews) VALUES (3, 0)"
    ),
    "mart_average_check fails rows_are_those_built: 1 offending rows, such as present 1, built None": (
        "DELETE FROM _mart_builds WHERE mart = 'mart_average_check'"
    ),
    "mart_user_activity fails counts_are_not_negative: 2 offending rows, such as user_id 1": (
        "UPDATE mart_user_activity SET reviews = -1"
    ),
    "mart_user_activity fails amount_spent_is_not_negative: 1 offending rows, such as user_id 1": (
        "UPDATE mart_user_activity SET amount_spent = -0.01 WHERE user_id = 1"
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
    "mart_user_activity fails first_activity_before_last: 1 offending rows, such as user_id 1": (
        "UPDATE mart_user_activity SET last_activity_at = NULL WHERE user_id = 1"
    ),
    "mart_product_rating fails counts_are_not_negative: 1 offending rows, such as product_id 1": (
        "UPDATE mart_product_rating SET reviews = -1 WHERE product_id = 1"
    ),
    "mart_product_rating fails average_rating_is_1_to_5: 1 offending rows, such as product_id 1": (
        "UPDATE mart_product_rating SET average_rating = 5.01 WHERE product_id = 1"
    ),
    "mart_product_rating fails average_rating_iff_reviews: 1 offending rows, such as product_id 1": (
        "UPDATE mart_product_rating SET average_rating = NULL"
    ),
    "mart_average_check fails orders_are_positive: 1 offending rows, such as order_status Shipped, loyalty": (
        "UPDATE mart_average_check SET orders = 0"
    ),
    "mart_average_check fails average_amount_is_not_negative: 1 offending rows, such as order_status": (
        "UPDATE mart_average_check SET average_amount = -1"
    ),
    "mart_average_check fails orders_add_up: 1 offending rows, such as by_status 3, by_user 2": (
        "UPDATE mart_average_check SET orders = 3"
    ),
}


@pytest.fixture
def database(mysql: dict[str, str]) -> Iterator[Any]:
    """A cursor on a database with healthy marts, published by one build."""
    with to_mysql(mysql) as connection:
        publish.stage_builds(connection)
        with connection.cursor() as cursor:
            for name, mart in MARTS.items():
                cursor.execute(mart.create_statement(publish.staging(name), COMPUTED))
        for built, rows in (("mart_user_activity", 2), ("mart_product_rating", 2), ("mart_average_check", 1)):
            publish.record(connection, built, rows, 1.5, datetime(2026, 1, 1))
        publish.swap_in(connection, [*MARTS, publish.BUILDS])
        with connection.cursor() as cursor:
            for statement in HEALTHY.split(";"):
                cursor.execute(statement)
            yield cursor


@pytest.mark.usefixtures("database")
def test_healthy_marts_pass_every_check(mysql: dict[str, str], run: Callable[..., Any]) -> None:
    result = run("check-marts", env=mysql).result
    assert (result["checks"], result["failed"]) == (len(CHECKS), 0)


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
    assert {sentence.split(":")[0] for sentence in DEFECTS} == {f"{c.marts[0]} fails {c.name}" for c in CHECKS}


def test_marts_that_were_never_built_ask_for_build_marts(mysql: dict[str, str], run: Callable[..., Any]) -> None:
    failed = run("check-marts", env=mysql, check=False)
    assert failed.status == 1
    assert "run build-marts first" in failed.log

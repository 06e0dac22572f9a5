"""The generator: consistent rows, the same for the same seed, added once."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from psycopg import sql
from tests.connections import to_postgres

SIZES = ("--users", 50, "--products", 40, "--orders", 200, "--reviews", 100, "--loyalty", 80)
TABLES = ("users", "productcategories", "products", "orders", "orderdetails", "reviews", "loyaltypoints")
# Each finds rows that contradict what the generator promises.
CONTRADICTIONS = {
    "an order's total is not the sum of its details": """
        SELECT order_id FROM orders LEFT JOIN orderdetails USING (order_id)
        GROUP BY order_id HAVING total_amount IS DISTINCT FROM sum(total_price)""",
    "a detail's total is not its quantity times its price": """
        SELECT order_detail_id FROM orderdetails WHERE total_price <> quantity * price_per_unit""",
    "an order is older than its user": """
        SELECT order_id FROM orders JOIN users USING (user_id) WHERE order_date < registration_date""",
    "an order is older than its product": """
        SELECT order_id FROM orders JOIN orderdetails USING (order_id) JOIN products USING (product_id)
        WHERE order_date < creation_date""",
    "a delivery comes before its order": "SELECT order_id FROM orders WHERE delivery_date < order_date",
    "a review has no purchase before it": """
        SELECT review_id FROM reviews r WHERE NOT EXISTS (
            SELECT FROM orders o JOIN orderdetails d USING (order_id)
            WHERE o.user_id = r.user_id AND d.product_id = r.product_id AND o.order_date <= r.created_at)""",
    "a loyalty entry is older than its user": """
        SELECT loyalty_id FROM loyaltypoints JOIN users USING (user_id) WHERE created_at < registration_date""",
}


def all_rows(settings: Mapping[str, str]) -> dict[str, list[Any]]:
    with to_postgres(settings) as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}


@pytest.fixture
def shop(postgres: dict[str, str], run: Callable[..., Any]) -> dict[str, str]:
    run("shop-init", env=postgres)
    return postgres


def test_tables_are_created_once_also_by_a_user_called_as_the_schema_of_the_bookkeeping(
    shop: dict[str, str], run: Callable[..., Any]
) -> None:
    with to_postgres(shop) as connection:
        connection.execute(
            sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET search_path = shop, public").format(
                sql.Identifier(shop["PGDATABASE"])
            )
        )
    run("shop-init", env=shop)
    run("shop-generate", *SIZES, env=shop)
    with to_postgres(shop) as connection:
        users = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'users'").fetchall()
        assert users == [("public",)]
        assert connection.execute("SELECT count(*) FROM public.users").fetchone() == (50,)


def test_tables_are_created_once(shop: dict[str, str], run: Callable[..., Any]) -> None:
    assert run("shop-init", env=shop).result["tables"] == 7


def test_rows_are_as_many_as_asked_for_and_consistent(shop: dict[str, str], run: Callable[..., Any]) -> None:
    result = run("shop-generate", *SIZES, "--seed", 5, env=shop).result
    rows = all_rows(shop)
    assert {table: len(found) for table, found in rows.items()} == result["rows"]
    assert [len(rows[name]) for name in ("users", "products", "orders", "reviews", "loyaltypoints")] == [
        *(50, 40, 200, 100, 80)
    ]
    with to_postgres(shop) as connection:
        for contradiction, query in CONTRADICTIONS.items():
            assert connection.execute(query).fetchall() == [], contradiction


def test_a_seed_is_added_once_and_another_adds_more(shop: dict[str, str], run: Callable[..., Any]) -> None:
    run("shop-generate", *SIZES, "--seed", 5, env=shop)
    before = all_rows(shop)
    assert run("shop-generate", *SIZES, "--seed", 5, env=shop).result["rows_written"] == 0
    assert all_rows(shop) == before
    run("shop-generate", *SIZES, "--seed", 6, env=shop)
    assert len(all_rows(shop)["users"]) == 100


def test_the_category_tree_is_added_once_also_by_batches_at_the_same_time_in_repeatable_read(
    shop: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    with to_postgres(shop) as connection, to_postgres(shop) as other:
        connection.execute("ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'repeatable read'")
        with connection.transaction():
            # Both wait at the same place until here.
            connection.execute("LOCK TABLE shop.generated_batches IN ACCESS EXCLUSIVE MODE")
            batches = [start("shop-generate", "--products", 3, "--seed", seed, env=shop) for seed in (1, 2)]
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            while other.execute(waiting).fetchone() != (2,):
                assert all(batch.poll() is None for batch in batches)
        for batch in batches:
            assert batch.wait() == 0, batch.stderr.read()
    assert run("shop-generate", "--products", 3, "--seed", 3, env=shop).result["rows"] == {"products": 3}
    rows = all_rows(shop)
    assert len(rows["products"]) == 9
    assert len(rows["productcategories"]) == len({row[1] for row in rows["productcategories"]}) == 52


def test_categories_that_are_there_are_left_as_they_are_and_used(
    shop: dict[str, str], run: Callable[..., Any]
) -> None:
    with to_postgres(shop) as connection:
        connection.execute("INSERT INTO productcategories (name) VALUES ('Tea'), ('Tea')")
    run("shop-generate", "--products", 20, "--seed", 1, env=shop)
    rows = all_rows(shop)
    assert [row[1] for row in rows["productcategories"]] == ["Tea", "Tea"]
    assert {row[3] for row in rows["products"]} == {row[0] for row in rows["productcategories"]}


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_the_database_cannot_hold_is_wrong_usage(run: Callable[..., Any], seed: int) -> None:
    refused = run("shop-generate", "--seed", seed, check=False)
    assert refused.status == 2
    assert "--seed" in refused.log


def test_the_same_seed_gives_the_same_rows(
    shop: dict[str, str], run: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    run("shop-generate", *SIZES, "--seed", 5, env=shop)
    first = all_rows(shop)
    with to_postgres(shop) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)}, shop.generated_batches RESTART IDENTITY CASCADE")
    run("shop-generate", *SIZES, "--seed", 5, env=shop)
    assert all_rows(shop) == first


def test_a_seed_of_other_sizes_is_refused(shop: dict[str, str], run: Callable[..., Any]) -> None:
    run("shop-generate", "--users", 3, "--seed", 5, env=shop)
    refused = run("shop-generate", "--users", 4, "--seed", 5, env=shop, check=False)
    assert refused.status == 1
    assert "choose another seed" in refused.log
    assert len(all_rows(shop)["users"]) == 3


def test_reviews_without_purchases_are_refused(shop: dict[str, str], run: Callable[..., Any]) -> None:
    refused = run("shop-generate", "--users", 3, "--reviews", 4, env=shop, check=False)
    assert refused.status == 1
    assert "generate some orders first" in refused.log
    assert all_rows(shop)["users"] == []


def test_a_database_without_tables_is_named(postgres: dict[str, str], run: Callable[..., Any]) -> None:
    refused = run("shop-generate", "--users", 3, env=postgres, check=False)
    assert refused.status == 1
    assert "run shop-init first" in refused.log
    assert "Traceback" not in refused.log


def test_a_database_that_is_not_there_is_one_sentence(postgres: dict[str, str], run: Callable[..., Any]) -> None:
    refused = run("shop-init", env={**postgres, "PGPORT": "1"}, check=False)
    assert refused.status == 1
    assert len(refused.log.splitlines()) == 1
    assert "PostgreSQL can't be reached" in refused.log


def test_a_batch_is_added_where_users_have_registered_lately(
    shop: dict[str, str], run: Callable[..., Any]
) -> None:
    with to_postgres(shop) as connection:
        connection.execute(
            "INSERT INTO users (first_name, last_name, email, phone, registration_date, loyalty_status)"
            " SELECT 'Ann', 'Lee', n || '@example.org', '+7' || n, now(), 'Gold' FROM generate_series(1, 50) n"
        )
    run("shop-generate", *SIZES, "--seed", 1, env=shop)
    older = CONTRADICTIONS["a loyalty entry is older than its user"]
    with to_postgres(shop) as connection:
        assert connection.execute(older).fetchall() == []

"""The generator: consistent rows, which depend on the seed and are added once; files; defects; a live shop."""

import csv
import json
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
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
    "points are of no purchase that was kept": """
        SELECT loyalty_id FROM loyaltypoints l WHERE reason = 'purchase' AND NOT EXISTS (
            SELECT FROM orders o WHERE o.user_id = l.user_id AND o.delivery_date = l.created_at
            AND o.status IN ('Delivered', 'Completed') AND floor(o.total_amount / 10) = l.points)""",
    "a user's status does not follow the points": """
        SELECT user_id FROM users LEFT JOIN loyaltypoints USING (user_id) GROUP BY user_id
        HAVING loyalty_status <> CASE WHEN sum(points) >= 1000 THEN 'Gold' WHEN sum(points) >= 250 THEN 'Silver'
            ELSE 'Bronze' END""",
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
    arguments = (*SIZES, "--seed", 5, "--until", "2026-03-01")
    run("shop-generate", *arguments, env=shop)
    first = all_rows(shop)
    with to_postgres(shop) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)}, shop.generated_batches RESTART IDENTITY CASCADE")
    run("shop-generate", *arguments, env=shop)
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


def test_files_hold_the_rows_that_an_empty_database_gets(
    shop: dict[str, str], run: Callable[..., Any], tmp_path: Path
) -> None:
    options = (*SIZES, "--seed", 5, "--until", "2026-03-01", "--locale", "ru_RU")
    generated = run("shop-generate", *options, env=shop).result
    for form in ("csv", "parquet"):
        written = run("shop-generate", *options, f"--to-{form}", tmp_path / form).result
        assert written["rows"] == generated["rows"]
    rows = all_rows(shop)
    with to_postgres(shop) as connection:
        for table in TABLES:
            with (tmp_path / "csv" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
                heading, *lines = list(csv.reader(file))
            texts = sql.SQL("SELECT {}::text FROM {} ORDER BY {}").format(
                sql.SQL("::text, ").join(map(sql.Identifier, heading)),
                sql.Identifier(table),
                sql.Identifier(table, heading[0]),
            )
            found = [["" if value is None else value for value in row] for row in connection.execute(texts)]
            assert lines == found, table
            parquet = pq.read_table(tmp_path / "parquet" / f"{table}.parquet").to_pylist()
            assert [tuple(row.values()) for row in parquet] == rows[table], table


def test_a_folder_that_holds_something_is_left_as_it_is(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    refused = run("shop-generate", *SIZES, "--to-csv", tmp_path, check=False)
    assert refused.status == 1
    assert "not an empty folder" in refused.log
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_batch_goes_on_with_the_users_and_products_of_those_before_it(
    shop: dict[str, str], run: Callable[..., Any]
) -> None:
    run("shop-generate", *SIZES, "--seed", 5, env=shop)
    added = run("shop-generate", "--append", "--orders", 300, "--reviews", 20, "--loyalty", 500, env=shop).result
    assert added["seed"] == 6
    assert run("shop-generate", "--append", "--reviews", 9, env=shop).result["rows"] == {"reviews": 9}
    assert run("shop-generate", "--append", *SIZES, env=shop).result["seed"] == 8
    with to_postgres(shop) as connection:
        for contradiction, query in CONTRADICTIONS.items():
            assert connection.execute(query).fetchall() == [], contradiction
        statuses = connection.execute(
            "SELECT loyalty_status, CASE WHEN points >= 1000 THEN 'Gold' WHEN points >= 250 THEN 'Silver' ELSE"
            " 'Bronze' END FROM users JOIN (SELECT user_id, sum(points) AS points FROM loyaltypoints GROUP BY 1)"
            " AS sums USING (user_id)"
        ).fetchall()
    assert all(status == expected for status, expected in statuses)
    assert len(all_rows(shop)["users"]) == 100


def test_tables_are_added_one_by_one_with_the_rows_of_the_whole_batch(
    shop: dict[str, str], run: Callable[..., Any]
) -> None:
    options = (*SIZES, "--seed", 5, "--until", "2026-03-01")
    run("shop-generate", *options, env=shop)
    whole = all_rows(shop)
    with to_postgres(shop) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)}, shop.generated_batches RESTART IDENTITY CASCADE")
    assert run("shop-generate", *options, "--only", "users", env=shop).result["rows"] == {"users": 50}
    refused = run("shop-generate", *options, "--only", "orderdetails", env=shop, check=False)
    assert refused.status == 1
    assert "Rows of orderdetails reference missing rows" in refused.log
    run("shop-generate", *options, "--only", "productcategories", "--only", "products", env=shop)
    run("shop-generate", *options, env=shop)
    assert all_rows(shop) == whole


def test_a_seed_keeps_its_last_day(shop: dict[str, str], run: Callable[..., Any]) -> None:
    run("shop-generate", *SIZES, "--seed", 5, "--until", "2026-03-01", env=shop)
    assert run("shop-generate", *SIZES, "--seed", 5, "--until", "2026-03-02", env=shop).result["rows"] == {}
    with to_postgres(shop) as connection:
        last = connection.execute("SELECT max(order_date)::date::text FROM orders").fetchone()
    assert last == ("2026-03-01",)


def test_a_batch_that_is_killed_leaves_no_row_and_no_process(
    shop: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    options = ("--users", 2000, "--products", 200, "--orders", 100_000, "--seed", 5, "--processes", 2)
    generating = start("shop-generate", *options, env=shop)
    backend = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY \"orderdetails%'"
    with to_postgres(shop) as connection:
        while not connection.execute(backend).fetchall():
            assert generating.poll() is None
            time.sleep(0.02)
        generating.send_signal(signal.SIGKILL)
        generating.wait()
        # This waits until the processes that it has started have ended too, because they hold its output open.
        generating.communicate(timeout=30)
        while connection.execute(backend).fetchall():
            time.sleep(0.02)
    assert not any(all_rows(shop).values())
    assert run("shop-generate", *SIZES, "--seed", 5, env=shop).result["rows"]["users"] == 50


# Each finds the rows of a kind of defect.
DEFECTS = {
    "duplicate_user": "SELECT max(user_id) FROM users GROUP BY phone HAVING count(*) > 1 AND phone IS NOT NULL",
    "registered_in_the_future": "SELECT user_id FROM users WHERE registration_date > now() + interval '10 years'",
    "order_before_registration": """
        SELECT order_id FROM orders JOIN users USING (user_id) WHERE order_date < registration_date""",
    "order_without_details": """
        SELECT order_id FROM orders WHERE NOT EXISTS (SELECT FROM orderdetails d WHERE d.order_id = orders.order_id)""",
    "total_is_not_the_sum": """
        SELECT order_id FROM orders JOIN orderdetails USING (order_id)
        GROUP BY order_id HAVING total_amount <> sum(total_price)""",
    "delivered_without_a_date": "SELECT order_id FROM orders WHERE status = 'Delivered' AND delivery_date IS NULL",
    "review_without_a_purchase": CONTRADICTIONS["a review has no purchase before it"],
}


def test_defects_are_as_many_as_asked_for_and_where_the_result_says(
    shop: dict[str, str], run: Callable[..., Any], tmp_path: Path
) -> None:
    result = run("shop-generate", *SIZES, "--seed", 5, "--dirty", 4, env=shop).result
    assert set(DEFECTS) < set(result["defects"])
    with to_postgres(shop) as connection:
        for kind, query in DEFECTS.items():
            first = result["defects"][kind]["first_id"]
            found = sorted(number for (number,) in connection.execute(query).fetchall())
            assert found == list(range(first, first + 4)), kind
    run("shop-generate", *SIZES, "--seed", 5, "--dirty", 4, "--to-csv", tmp_path / "files")
    found = json.loads((tmp_path / "files" / "defects.json").read_text())
    assert set(found) - set(result["defects"]) == {
        *("orphan_order", "orphan_detail", "rating_out_of_range", "delivered_before_ordered", "duplicate_key")
    }


def test_a_live_shop_stays_consistent_goes_on_over_a_lost_connection_and_where_it_ended(
    shop: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    run("shop-generate", *SIZES, "--seed", 5, "--until", "2026-03-01", env=shop)
    before = all_rows(shop)
    position = "SELECT next_change FROM shop.live_changes WHERE seed = 7"

    def changed(at_least: int) -> int:
        with to_postgres(shop) as connection:
            while True:
                row = connection.execute(position).fetchone()
                if row and row[0] >= at_least:
                    return int(row[0])
                assert live.poll() is None, live.stderr.read()
                time.sleep(0.05)

    live = start("shop-generate", "--live", 300, "--seed", 7, env=shop)
    reached = changed(200)
    with to_postgres(shop) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    changed(reached + 1000)
    live.send_signal(signal.SIGTERM)
    output, log = live.communicate(timeout=20)
    assert live.returncode == 0, log
    assert "trying again" in log
    first_run = json.loads(output)
    assert first_run["changes_made"] == changed(0)
    assert set(first_run["changes"]) == {
        *("order", "state", "stock", "price", "user", "review", "review_deletion", "order_deletion")
    }
    live = start("shop-generate", "--live", 300, "--seed", 7, env=shop)
    changed(first_run["changes_made"] + 50)
    live.send_signal(signal.SIGINT)
    assert live.wait(20) == 0
    after = all_rows(shop)
    assert len(after["orders"]) > len(before["orders"])
    assert len(after["users"]) > len(before["users"])
    assert {row[0] for row in before["reviews"]} - {row[0] for row in after["reviews"]}
    deleted = {row[0] for row in before["orders"]} - {row[0] for row in after["orders"]}
    assert deleted
    assert {row[4] for row in before["orders"] if row[0] in deleted} <= {"Canceled", "Failed"}
    statuses = {row[0]: row[6] for row in before["users"]}
    assert any(statuses.get(row[0], "Bronze") == "Bronze" != row[6] for row in after["users"])
    with to_postgres(shop) as connection:
        for contradiction, query in CONTRADICTIONS.items():
            assert connection.execute(query).fetchall() == [], contradiction


def test_tables_of_an_earlier_version_are_completed_and_its_batches_known(
    shop: dict[str, str], run: Callable[..., Any]
) -> None:
    with to_postgres(shop) as connection:
        connection.execute("ALTER TABLE shop.generated_batches DROP COLUMN plan, DROP COLUMN tables")
        connection.execute("DROP TABLE shop.live_changes, shop.dead_letters, shop.dead_letter_pieces")
        sizes = {"users": 3, "products": 0, "orders": 0, "reviews": 0, "loyalty": 0}
        connection.execute("INSERT INTO shop.generated_batches VALUES (5, %s)", [json.dumps(sizes)])
    refused = run("shop-generate", "--users", 3, "--seed", 5, env=shop, check=False)
    assert refused.status == 1
    assert "run shop-init again" in refused.log
    run("shop-init", env=shop)
    assert run("shop-generate", "--users", 3, "--seed", 5, env=shop).result["rows"] == {}
    assert run("shop-generate", "--append", "--users", 3, env=shop).result["seed"] == 6

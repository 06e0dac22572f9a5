"""``build-marts`` that reads only what has changed leaves the same marts as a full build, whatever has happened.

PostgreSQL and MySQL are read by drivers that the commands do not use.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from tests.connections import to_mysql_by_another_driver, to_postgres_by_another_driver
from tests.marts import require_marts, rows

from martline.marts.catalogue import MARTS

SIZES = ("--users", 60, "--products", 30, "--orders", 400, "--reviews", 150, "--loyalty", 100, "--seed", 7)
ROUNDS = 5


class Shop:
    """A shop whose marts are built step by step."""

    def __init__(self, settings: dict[str, str], state: Path, run: Callable[..., Any]) -> None:
        self.settings = {**settings, "MARTS_STATE": str(state), "REPLICATION_JOURNAL_MIB": "16"}
        self.state = state
        self.run = run

    def replicate(self) -> None:
        """Bring the changes to MySQL."""
        self.run("replicate", env=self.settings)

    def build(self, *arguments: str) -> dict[str, Any]:
        """Build the marts, and return the result of the command."""
        result: dict[str, Any] = self.run("build-marts", *arguments, env=self.settings).result
        return result

    def require_marts(self) -> None:
        """Compare the marts with PostgreSQL's own computation."""
        with (
            closing(to_postgres_by_another_driver(self.settings)) as source,
            closing(to_mysql_by_another_driver(self.settings)) as target,
        ):
            require_marts(source, target)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Query MySQL."""
        with closing(to_mysql_by_another_driver(self.settings)) as target:
            return rows(target, query)

    def marts(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all marts."""
        return {
            mart.name: self.ask(f"SELECT * FROM {mart.name} ORDER BY {', '.join(mart.key)}")
            for mart in MARTS.values()
        }


@pytest.fixture
def shop(servers: dict[str, str], run: Callable[..., Any], tmp_path: Path) -> Shop:
    """A shop with rows, replicated and built once."""
    made = Shop(servers, tmp_path / "state", run)
    run("shop-init", env=made.settings)
    run("shop-generate", *SIZES, env=made.settings)
    made.replicate()
    assert made.build()["incremental"] is False
    return made


def change(source: psycopg.Connection, chance: random.Random, number: int) -> None:
    """Change some rows of any table in any way: some are late, some are moved, some are deleted."""
    statements = [
        "INSERT INTO users (first_name, last_name, email, registration_date, loyalty_status)"
        f" VALUES ('Анна', 'O''Нил', 'new{number}@x.y', '2026-02-03 04:05', 'Gold')",
        "INSERT INTO orders (user_id, order_date, total_amount, status)"
        " SELECT user_id, '2020-05-06 07:08', 12.34, 'Delivered' FROM users ORDER BY md5(user_id::text || %s) LIMIT 2",
        "INSERT INTO orders (user_id, order_date, total_amount, status)"
        " SELECT user_id, now() AT TIME ZONE 'UTC', 99.99, 'Pending' FROM users ORDER BY md5(user_id::text || %s) LIMIT 1",
        "INSERT INTO orderdetails (order_id, product_id, quantity, price_per_unit, total_price)"
        " SELECT order_id, product_id, 2, 3.05, 6.10 FROM orders, products ORDER BY md5(order_id::text || product_id || %s)"
        " LIMIT 3",
        "UPDATE orders SET status = 'Returned' WHERE order_id IN"
        " (SELECT order_id FROM orders ORDER BY md5(order_id::text || %s) LIMIT 4)",
        "UPDATE orders SET user_id = (SELECT max(user_id) FROM users), order_date = order_date - interval '40 days',"
        " delivery_date = NULL"
        " WHERE order_id IN (SELECT order_id FROM orders ORDER BY md5(order_id::text || %s) LIMIT 2)",
        "UPDATE products SET category_id = (SELECT min(category_id) FROM products), name = name || '!' WHERE product_id IN"
        " (SELECT product_id FROM products ORDER BY md5(product_id::text || %s) LIMIT 1)",
        "UPDATE productcategories SET name = name || '+' WHERE category_id IN"
        " (SELECT category_id FROM productcategories ORDER BY md5(category_id::text || %s) LIMIT 1)",
        "UPDATE users SET loyalty_status = 'Silver' WHERE user_id IN"
        " (SELECT user_id FROM users ORDER BY md5(user_id::text || %s) LIMIT 3)",
        "UPDATE reviews SET rating = 6 - rating WHERE review_id IN"
        " (SELECT review_id FROM reviews ORDER BY md5(review_id::text || %s) LIMIT 3)",
        "DELETE FROM reviews WHERE review_id IN (SELECT review_id FROM reviews ORDER BY md5(review_id::text || %s) LIMIT 5)",
        "DELETE FROM loyaltypoints WHERE loyalty_id IN"
        " (SELECT loyalty_id FROM loyaltypoints ORDER BY md5(loyalty_id::text || %s) LIMIT 5)",
        "WITH gone AS (SELECT order_id FROM orders ORDER BY md5(order_id::text || %s) LIMIT 3),"
        " details AS (DELETE FROM orderdetails WHERE order_id IN (SELECT order_id FROM gone) RETURNING 1)"
        " SELECT count(*) FROM details",
        "DELETE FROM orders WHERE NOT EXISTS (SELECT FROM orderdetails d WHERE d.order_id = orders.order_id)",
        "UPDATE orders SET order_id = order_id + 100000 WHERE order_id IN (SELECT order_id FROM orders o WHERE NOT EXISTS"
        " (SELECT FROM orderdetails d WHERE d.order_id = o.order_id) ORDER BY 1 LIMIT 1)",
    ]  # fmt: skip
    with source.transaction():
        for statement in chance.sample(statements, chance.randint(1, 6)):
            source.execute(statement, [str(number)] if "%s" in statement else None)


@pytest.mark.parametrize("seed", range(2))
def test_after_any_changes_an_incremental_run_leaves_what_a_full_one_leaves(
    shop: Shop, source: psycopg.Connection, seed: int, scale: int
) -> None:
    chance = random.Random(seed)
    for number in range(ROUNDS * scale):
        for part in range(chance.randint(0, 3)):
            change(source, chance, number * 10 + part)
        shop.replicate()
        assert shop.build()["incremental"] is True
        shop.require_marts()
    built = shop.marts()
    assert shop.build("--full")["incremental"] is False
    assert shop.marts() == built


def test_a_run_without_changes_changes_no_row_and_says_that_the_marts_are_of_now(
    shop: Shop, source: psycopg.Connection
) -> None:
    before, lsn = shop.marts(), shop.ask("SELECT DISTINCT lsn FROM mart_versions")
    source.execute("UPDATE products SET description = 'of no mart' WHERE product_id = 1")
    shop.replicate()
    built = shop.build()
    assert built["incremental"] is True
    assert built["rows_written"] == 0
    assert shop.marts() == before
    assert shop.ask("SELECT DISTINCT run_id, lsn FROM mart_versions") == [(built["run"], built["lsn"])]
    assert lsn != [(built["lsn"],)]


def test_an_incremental_run_that_fails_a_check_leaves_the_marts_and_the_next_one_is_right(
    shop: Shop, source: psycopg.Connection
) -> None:
    before = shop.marts()
    source.execute("ALTER TABLE reviews DROP CONSTRAINT reviews_rating_check")
    source.execute("UPDATE reviews SET rating = 99 WHERE review_id <= 20")
    shop.replicate()
    failed = shop.run("build-marts", env=shop.settings, check=False)
    assert failed.status == 1
    assert "mart_product_rating fails average_rating_is_1_to_5" in failed.log
    assert shop.marts() == before
    assert shop.ask("SELECT outcome FROM mart_runs ORDER BY run_id") == [("published",), ("rejected",)]
    assert shop.ask("SELECT outcome, COUNT(*) > 0 FROM mart_checks WHERE run_id = 2 GROUP BY 1 ORDER BY 1") == [
        ("failed", 1),
        ("passed", 1),
    ]
    assert {name[:9] for name in leftovers(shop)} == {"_staging_"}
    source.execute("UPDATE reviews SET rating = 3 WHERE review_id <= 20")
    shop.replicate()
    assert shop.build()["incremental"] is True
    assert {name[:6] for name in leftovers(shop)} == {"_run_3"}
    shop.require_marts()


def test_a_rollback_undoes_an_incremental_run_once(shop: Shop, source: psycopg.Connection) -> None:
    before, versions = shop.marts(), shop.ask("SELECT * FROM mart_versions")
    change_all(source)
    shop.replicate()
    shop.build()
    assert shop.marts() != before
    assert sorted(shop.build("--rollback")["rolled_back"]) == sorted(MARTS)
    assert shop.marts() == before
    assert shop.ask("SELECT * FROM mart_versions") == versions
    refused = shop.run("build-marts", "--rollback", env=shop.settings, check=False)
    assert refused.status == 1
    assert "nothing is rolled back" in refused.log
    assert shop.marts() == before
    assert shop.build()["incremental"] is False
    shop.require_marts()


def test_a_full_run_after_an_incremental_one_can_be_rolled_back_to_it(
    shop: Shop, source: psycopg.Connection
) -> None:
    change_all(source)
    shop.replicate()
    shop.build()
    incremental = shop.marts()
    source.execute("DELETE FROM loyaltypoints")
    shop.replicate()
    shop.build("--full")
    assert shop.marts() != incremental
    shop.build("--rollback")
    assert shop.marts() == incremental


def another_version(file: Path) -> None:
    with duckdb.connect(file) as database:
        database.execute("ALTER TABLE origin RENAME run_id TO run")


DAMAGES: dict[str, Callable[[Shop, Path], object]] = {
    "the file is none": lambda shop, file: file.write_bytes(b"no database"),
    "the file is of another version": lambda shop, file: another_version(file),
    "the file is cut off": lambda shop, file: os.truncate(file, file.stat().st_size // 2),
    "the file is gone": lambda shop, file: file.unlink(),
    "a mart was built alone": lambda shop, file: shop.build("mart_average_check"),
    "a row of a mart was changed": lambda shop, file: shop.ask(
        "DELETE FROM mart_user_activity WHERE user_id <= 50"
    ),
    "a row of a mart is gone that stays the same": lambda shop, file: shop.ask(
        "DELETE FROM mart_product_rating WHERE product_id = 5"
    ),
    "a mart is gone": lambda shop, file: shop.ask("DROP TABLE mart_sales_daily"),
}


def test_all_rows_are_read_when_what_was_kept_is_of_no_use(shop: Shop, source: psycopg.Connection) -> None:
    for number, (reason, damage) in enumerate(DAMAGES.items()):
        source.execute(f"UPDATE users SET first_name = 'damage {number}'")
        shop.replicate()
        [file] = shop.state.iterdir()
        assert file.stat().st_mode & 0o077 == 0
        damage(shop, file)
        assert shop.build("--fewer-rows")["incremental"] is False, reason
        shop.require_marts()
    change(source, random.Random(3), 3)
    shop.replicate()
    assert shop.build()["incremental"] is True
    shop.require_marts()


def test_a_run_of_a_restored_mysql_is_not_taken_for_the_run_of_the_same_number_of_which_rows_are_kept(
    shop: Shop, source: psycopg.Connection
) -> None:
    # As in a backup of before the first run.
    for (name,) in shop.ask("SHOW TABLES LIKE 'mart\\_%'"):
        shop.ask(f"DROP TABLE {name}")
    source.execute("UPDATE users SET first_name = first_name || '!'")
    shop.replicate()
    shop.run("build-marts", env={**shop.settings, "MARTS_STATE": ""})
    source.execute("UPDATE users SET first_name = rtrim(first_name, '!')")
    shop.replicate()
    assert shop.build()["incremental"] is False
    shop.require_marts()


def test_no_number_of_a_run_comes_twice_even_if_somebody_has_emptied_the_record(
    shop: Shop, source: psycopg.Connection
) -> None:
    before = shop.marts()
    shop.ask("TRUNCATE mart_runs")
    change_all(source)
    shop.replicate()
    assert shop.build("mart_average_check")["run"] == 2
    assert shop.build("--rollback")["rolled_back"] == ["mart_average_check"]
    assert shop.marts() == before


def test_all_rows_are_read_while_a_table_is_not_of_the_replica(shop: Shop, source: psycopg.Connection) -> None:
    source.execute("DROP TABLE loyaltypoints")
    shop.replicate()
    shop.ask(
        "CREATE TABLE loyaltypoints (loyalty_id INT PRIMARY KEY, user_id INT, points INT, created_at DATETIME(6))"
    )
    shop.build()
    shop.ask("INSERT INTO loyaltypoints VALUES (1, 1, 7, '2026-01-02')")
    assert shop.build()["incremental"] is False
    assert shop.ask("SELECT loyalty_points FROM mart_user_activity WHERE user_id = 1") == [(7,)]


@pytest.mark.parametrize(
    "event", ["the journal was off", "a table was altered", "a table was copied anew", "a key is beyond BIGINT"]
)
def test_all_rows_are_read_when_the_journal_has_no_keys(
    shop: Shop, source: psycopg.Connection, event: str
) -> None:
    match event:
        case "the journal was off":
            change_all(source)
            shop.run("replicate", env={**shop.settings, "REPLICATION_JOURNAL_MIB": "0"})
        case "a table was altered":
            source.execute("ALTER TABLE users ALTER loyalty_status TYPE varchar(20)")
        case "a table was copied anew":
            shop.run("replicate", "--recopy", "orders", env=shop.settings)
        case "a key is beyond BIGINT":
            source.execute(
                "DROP TABLE loyaltypoints; CREATE TABLE loyaltypoints (loyalty_id xid8 PRIMARY KEY DEFAULT"
                " '18446744073709551615', user_id int, points int, reason text, created_at timestamp)"
            )
            shop.replicate()
            shop.build()
    change_all(source)
    shop.replicate()
    assert shop.build()["incremental"] is False
    shop.require_marts()


def test_a_run_that_cannot_be_kept_publishes_its_marts(shop: Shop, source: psycopg.Connection) -> None:
    change_all(source)
    shop.replicate()
    shop.settings["MARTS_STATE"] = str(shop.state / "marts.duckdb")  # a file
    built = shop.run("build-marts", env=shop.settings)
    assert built.result["incremental"] is False
    assert "The next run will read all rows: this one can't be kept" in built.log
    shop.require_marts()
    shop.settings["MARTS_STATE"] = "x" * 300  # too long for the system
    assert shop.build()["incremental"] is False


def test_a_run_whose_changes_cannot_be_kept_publishes_its_marts_and_the_next_one_is_right(
    shop: Shop, source: psycopg.Connection
) -> None:
    change_all(source)
    shop.replicate()
    # No file may grow, as on a full disk, beyond the little that finding a folder for temporary files takes.
    command = ["bash", "-c", "ulimit -f 1; exec build-marts"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    built = subprocess.run(
        command, env={**os.environ, **shop.settings, "PATH": path}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    assert '"incremental": true' in built.stdout
    assert "The next run will read all rows: this one can't be kept" in built.stderr
    shop.require_marts()
    assert shop.build()["incremental"] is False
    shop.require_marts()


def test_without_a_journal_every_run_reads_all_rows(
    servers: dict[str, str], run: Callable[..., Any], tmp_path: Path
) -> None:
    settings = {**servers, "MARTS_STATE": str(tmp_path / "state")}
    run("shop-init", env=settings)
    run("shop-generate", *SIZES, env=settings)
    run("replicate", env=settings)
    for _ in range(2):
        built = run("build-marts", env=settings)
        assert built.result["incremental"] is False
        assert "the replicator keeps no journal of changed keys" in built.log


def test_a_run_whose_connection_mysql_ends_says_so_and_the_next_one_is_right(
    shop: Shop, source: psycopg.Connection, start: Callable[..., Any]
) -> None:
    change_all(source)
    shop.replicate()
    with closing(to_mysql_by_another_driver(shop.settings)) as reader:
        rows(reader, "START TRANSACTION")
        rows(reader, "SELECT * FROM mart_user_activity FOR UPDATE")
        process = start("build-marts", env=shop.settings)
        # It waits for the rows.
        running = "SELECT id FROM information_schema.processlist WHERE info LIKE 'DELETE m FROM%'"
        while not (found := rows(reader, running)):
            assert process.poll() is None
        rows(reader, f"KILL {found[0][0]}")
        _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "MySQL: Lost connection to MySQL server during query: run this again later" in log
    shop.build()
    shop.require_marts()
    assert shop.ask("SELECT outcome FROM mart_runs ORDER BY run_id")[1] == ("killed",)


def test_whatever_moment_a_run_is_killed_at_the_next_one_is_right(
    shop: Shop, source: psycopg.Connection, start: Callable[..., Any], scale: int
) -> None:
    chance = random.Random(11)
    for number in range(6 * scale):
        change(source, chance, 1000 + number)
        shop.replicate()
        process = start("build-marts", env=shop.settings)
        time.sleep(chance.uniform(0.5, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        shop.build()
        shop.require_marts()
    last = shop.build()["run"]
    assert all(name.startswith(f"_run_{last}_") for name in leftovers(shop))


def test_a_reader_sees_one_version_of_all_marts_while_they_change(
    shop: Shop, source: psycopg.Connection, start: Callable[..., Any]
) -> None:
    together = (
        "SELECT (SELECT MAX(run_id) FROM mart_versions), (SELECT SUM(orders) FROM mart_user_activity),"
        " (SELECT SUM(orders) FROM mart_average_check)"
    )
    seen = set()
    for number in range(3):
        source.execute(
            "INSERT INTO orders (user_id, order_date, total_amount, status)"
            " SELECT user_id, '2021-01-01', 1, 'Delivered' FROM users WHERE user_id <= 10 + %s",
            [number],
        )
        shop.replicate()
        process = start("build-marts", env=shop.settings)
        while process.poll() is None:
            seen.update(shop.ask(together))
        assert process.returncode == 0
        seen.update(shop.ask(together))
    assert all(users == statuses for _, users, statuses in seen)
    assert len(seen) == len({run for run, _, _ in seen}) == 4


def leftovers(shop: Shop) -> list[str]:
    """The temporary tables of a run that still exist."""
    return [name for (name,) in shop.ask("SHOW TABLES") if name.startswith(("_run_", "_staging_"))]


def change_all(source: psycopg.Connection) -> None:
    """Change rows of every mart."""
    source.execute("UPDATE orders SET status = 'Returned' WHERE order_id <= 20")
    source.execute("UPDATE products SET name = 'other' WHERE product_id = 2")
    source.execute(
        "INSERT INTO loyaltypoints (user_id, points, reason, created_at) VALUES (1, 5, 'x', '2026-01-01')"
    )

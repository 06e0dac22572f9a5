"""``build-marts`` on real servers, its numbers checked against a computation in plain Python."""

import itertools
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pymysql
import pytest
import trustme
from tests.connections import to_mysql
from tests.servers import MySQLContainer, open_server

from martline.marts.catalogue import MARTS

TABLES = {
    "users": "user_id BIGINT PRIMARY KEY, first_name VARCHAR(100), last_name VARCHAR(100),"
    " loyalty_status VARCHAR(10), registration_date DATETIME(6)",
    "productcategories": "category_id INT PRIMARY KEY, name VARCHAR(100), parent_category_id INT",
    "products": "product_id BIGINT PRIMARY KEY, name VARCHAR(200), category_id INT, price DECIMAL(12,2),"
    " creation_date DATE",
    "orders": "order_id BIGINT PRIMARY KEY, user_id BIGINT, order_date DATETIME(6), total_amount DECIMAL(12,2),"
    " status VARCHAR(20), delivery_date DATETIME(6)",
    "orderdetails": "order_detail_id BIGINT PRIMARY KEY, order_id BIGINT, product_id BIGINT, quantity INT,"
    " price_per_unit DECIMAL(12,2), total_price DECIMAL(12,2)",
    "reviews": "review_id BIGINT PRIMARY KEY, user_id BIGINT, product_id BIGINT, rating TINYINT(1),"
    " review_text LONGTEXT, created_at DATETIME(6)",
    "loyaltypoints": "loyalty_id BIGINT PRIMARY KEY, user_id BIGINT, points INT, reason VARCHAR(100),"
    " created_at DATETIME(6)",
}
NIGHT_WITHOUT_HALF_PAST_TWO = datetime(2026, 3, 8, 2, 30, 0, 123456)
"""The time that New York skipped when its clocks changed. In UTC, it exists."""

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def database(mysql: dict[str, str]) -> Iterator[Any]:
    """A cursor on the test's database."""
    with (
        to_mysql(mysql) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def fill(database: Any, rows: Rows) -> None:
    for table, columns in TABLES.items():
        database.execute(f"CREATE TABLE {table} ({columns}) CHARACTER SET utf8mb4")
        if rows[table]:
            database.executemany(
                f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[table][0]))})", rows[table]
            )


def few_rows() -> Rows:
    moment = datetime(2026, 1, 2, 3, 4, 5)
    return {
        "users": [(1, "Анна", "Ёлкина", "Gold", moment), (2, "Пётр", "Щукин", "Silver", moment)],
        "productcategories": [(1, "Книги", None)],
        "products": [(1, "Роман", 1, 10, moment.date()), (2, "Словарь", 1, 20, moment.date())],
        "orders": [(1, 1, moment, 10, "Delivered", moment)],
        "orderdetails": [(1, 1, 1, 1, 10, 10)],
        "reviews": [(1, 1, 1, 4, "Хорошо", moment)],
        "loyaltypoints": [(1, 1, 10, "Заказ", moment)],
    }


def many_rows() -> Rows:
    """Seeded rows with difficult cases: users who did nothing, ties, averages just under a tie, big tables."""
    chance = random.Random(7)

    def moment() -> datetime:
        return datetime(2025, 1, 1) + timedelta(microseconds=chance.randrange(40_000_000_000_000))

    statuses = ["Pending", "Completed", "Canceled", "Processing", "Shipped", "Delivered", "Returned", "Failed"]
    rows: Rows = {
        "users": [
            (n, f"Имя-{n}", "O'Брайен", chance.choice(["Gold", "Silver"]), moment()) for n in range(1, 301)
        ],
        "productcategories": [(1, "Электроника", None), (2, "Ноутбуки", 1), (3, "Книги", None)],
        "products": [(n, f"Товар №{n}", chance.randint(1, 3), 9, moment().date()) for n in range(1, 401)],
        "orders": [
            (n, chance.randint(1, 250), moment(), Decimal(chance.randint(1, 10**7)) / 100, status, None)
            for n, status in enumerate(itertools.islice(itertools.cycle(statuses), 2000))
        ],
        "orderdetails": [
            (n, n // 2, chance.randint(1, 400), 1, 1, Decimal(chance.randint(0, 10**6)) / 100)
            for n in range(4000)
        ],
        "reviews": [
            (n, chance.randint(1, 200), chance.randint(1, 300), chance.randint(1, 5), "Ок", moment())
            for n in range(800)
        ],
        # More than one block.
        "loyaltypoints": [
            (n, chance.randint(1, 280), chance.randint(-5, 9), "", moment()) for n in range(100_500)
        ],
    }
    rows["users"] += [
        (9000, "Ничего", "Не-Делал", "Bronze", datetime(2023, 12, 31, 23, 59, 59, 999999)),
        (9001, "Много", "Мелочи", "Bronze", datetime(2024, 1, 1)),
    ]
    rows["products"] += [(9000, "Без категории", None, 1, None)]
    # 107 / 40 = 2.675, a tie.
    rows["reviews"] += [(9000 + n, 9001, 9000, 3 if n < 27 else 2, None, moment()) for n in range(40)]
    # 100.00 / 20001 is a little less than 0.005: rounded twice, to 6 digits and to 2, it would become 0.01.
    cents = [Decimal("0.01")] * 10_000 + [Decimal(0)] * 10_001
    rows["orders"] += [(10_000 + n, 9001, moment(), cent, "Returned", None) for n, cent in enumerate(cents)]
    rows["orders"] += [(99_999, 9001, NIGHT_WITHOUT_HALF_PAST_TWO, 1, "Shipped", NIGHT_WITHOUT_HALF_PAST_TWO)]
    # Midnight belongs to the day that begins. Two details of one category are one order.
    rows["orderdetails"] += [(9000, 99_999, 1, 1, 1, 1), (9001, 99_999, 1, 1, 1, 2)]
    rows["orders"] += [(99_998, 9001, datetime(2026, 3, 29), 3, "Shipped", None)]
    rows["orderdetails"] += [(9002, 99_998, 1, 1, 1, 3)]
    # This status differs from another one only in its trailing blank.
    rows["orders"] += [(99_997, 9001, moment(), 3, "Shipped ", None)]
    rows["reviews"] += [(9999, 1, 1, 5, "", datetime(2024, 3, 10, 2, 59, 59, 999999))]
    return rows


def average(values: Iterable[Any]) -> Decimal | None:
    """Rounded half up to 2 digits."""
    values = list(values)
    if not values:
        return None
    return (Decimal(sum(values)) / len(values)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def grouped(rows: list[tuple[Any, ...]], column: int) -> dict[Any, list[tuple[Any, ...]]]:
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def expected_user_activity(rows: Rows) -> list[tuple[Any, ...]]:
    orders, reviews = grouped(rows["orders"], 1), grouped(rows["reviews"], 1)
    points = grouped(rows["loyaltypoints"], 1)
    expected = []
    for user in rows["users"]:
        ordered, reviewed, earned = (by_user.get(user[0], []) for by_user in (orders, reviews, points))
        moments = [row[2] for row in ordered] + [row[5] for row in reviewed] + [row[4] for row in earned]
        expected.append(
            (
                *user[:4],
                len(ordered),
                sum((row[3] for row in ordered if row[4] not in ("Canceled", "Failed", "Returned")), Decimal(0)),
                len(reviewed),
                average(row[3] for row in reviewed),
                sum(row[2] for row in earned),
                min(moments, default=None),
                max(moments, default=None),
            )
        )
    return expected


def expected_product_rating(rows: Rows) -> list[tuple[Any, ...]]:
    categories = {row[0]: row[1] for row in rows["productcategories"]}
    reviews = grouped(rows["reviews"], 2)
    return [
        (product, name, category, categories.get(category), average(row[3] for row in rated), len(rated))
        for product, name, category, *_ in rows["products"]
        for rated in [reviews.get(product, [])]
    ]


def expected_average_check(rows: Rows) -> list[tuple[Any, ...]]:
    loyalty = {row[0]: row[3] for row in rows["users"]}
    orders: dict[tuple[str, str], list[Decimal]] = {}
    for _, user, _, amount, status, _ in rows["orders"]:
        orders.setdefault((status, loyalty[user]), []).append(amount)
    return sorted((*key, len(amounts), average(amounts)) for key, amounts in orders.items())


def expected_sales_daily(rows: Rows) -> list[tuple[Any, ...]]:
    category = {row[0]: row[2] for row in rows["products"]}
    orders = {row[0]: row for row in rows["orders"]}
    amounts: dict[tuple[date, int], dict[int, Decimal]] = {}
    for _, order, product, *_, price in rows["orderdetails"]:
        if product in category and orders[order][4] not in ("Canceled", "Failed"):
            of_day = amounts.setdefault((orders[order][2].date(), category[product]), {})
            of_day[order] = of_day.get(order, Decimal(0)) + price
    expected = []
    for key, by_order in sorted(amounts.items()):
        sold = {order: amount for order, amount in by_order.items() if orders[order][4] != "Returned"}
        buyers = {orders[order][1] for order in sold}
        revenue = sum(sold.values(), Decimal(0))
        expected.append(
            (*key, len(sold), len(buyers), revenue, average(sold.values()), len(by_order) - len(sold))
        )
    return expected


def expected_customer_rfm(rows: Rows) -> list[tuple[Any, ...]]:
    sold = grouped([row for row in rows["orders"] if row[4] not in ("Canceled", "Failed", "Returned")], 1)
    today = max((row[2].date() for bought in sold.values() for row in bought), default=None)
    measures = {
        user: ((today - max(row[2] for row in bought).date()).days, len(bought), sum(row[3] for row in bought))
        for user, bought in sold.items()
    }
    bounds = [fifths([measure[n] for measure in measures.values()]) for n in range(3)]
    expected = []
    for user, *_ in rows["users"]:
        if user not in measures:
            expected.append((user, None, 0, Decimal(0), None, None, None, "No orders"))
            continue
        days, frequency, money = (
            1 + sum(b < v for b in bound) for bound, v in zip(bounds, measures[user], strict=True)
        )
        recency = 6 - days
        expected.append((user, *measures[user], recency, frequency, money, segment(recency, frequency + money)))
    return expected


def fifths(values: list[Any]) -> list[Any]:
    """The smallest values that are not exceeded by at least 20, 40, 60 and 80 percent of the values."""
    ordered = sorted(values)
    return [ordered[-(-len(ordered) * percent // 100) - 1] for percent in (20, 40, 60, 80)] if ordered else []


def segment(recency: int, value: int) -> str:
    if recency >= 4 and value >= 8:
        return "Champions"
    if recency >= 3 and value >= 6:
        return "Loyal"
    if recency >= 4:
        return "New"
    if recency == 3:
        return "Needs attention"
    return "At risk" if value >= 6 else "Lost"


def expected_cohort_retention(rows: Rows) -> list[tuple[Any, ...]]:
    def month(moment: datetime) -> int:
        return moment.year * 12 + moment.month - 1

    cohorts = grouped([(row[0], month(row[4])) for row in rows["users"]], 1)
    sold = {(row[1], month(row[2])) for row in rows["orders"] if row[4] not in ("Canceled", "Failed", "Returned")}
    last = max((bought for _, bought in sold), default=-1)
    expected = []
    for cohort, users in sorted(cohorts.items()):
        for later in range(last - cohort + 1):
            active = sum((user, cohort + later) in sold for user, _ in users)
            percent = average([Decimal(100) * active / len(users)])
            expected.append((date(cohort // 12, cohort % 12 + 1, 1), later, len(users), active, percent))
    return expected


SALES_DAILY = """SELECT day, category_id, orders, buyers, revenue, average_check, returns
    FROM mart_sales_daily ORDER BY day, category_id"""
CUSTOMER_RFM = """SELECT user_id, recency_days, frequency, monetary, recency_score, frequency_score,
    monetary_score, segment FROM mart_customer_rfm ORDER BY user_id"""
COHORT_RETENTION = """SELECT cohort_month, months_since, users, active_users, retention_percent
    FROM mart_cohort_retention ORDER BY cohort_month, months_since"""
USER_ACTIVITY = """SELECT user_id, first_name, last_name, loyalty_status, orders, amount_spent, reviews,
    average_rating, loyalty_points, first_activity_at, last_activity_at
    FROM mart_user_activity ORDER BY user_id"""
PRODUCT_RATING = """SELECT product_id, name, category_id, category, average_rating, reviews
    FROM mart_product_rating ORDER BY product_id"""
AVERAGE_CHECK = """SELECT order_status, loyalty_status, orders, average_amount
    FROM mart_average_check ORDER BY order_status, loyalty_status"""


def rows_of(database: Any, query: str) -> list[tuple[Any, ...]]:
    database.execute(query)
    return list(database.fetchall())


def tables_of(database: Any) -> set[str]:
    return {name for (name,) in rows_of(database, "SHOW TABLES")}


def old_marts(database: Any) -> None:
    """Make marts with other columns, as if an earlier version had built them."""
    for mart in MARTS:
        database.execute(f"CREATE TABLE {mart} AS SELECT 'old' AS version")


def test_marts_equal_an_independent_computation_whatever_the_time_zone(
    database: Any, mysql: dict[str, str], engine: dict[str, str], run: Callable[..., Any]
) -> None:
    rows = many_rows()
    fill(database, rows)
    for time_zone, settings in (("Asia/Tokyo", {}), ("America/New_York", engine)):
        built = run("build-marts", "--debug", env=mysql | settings | {"TZ": time_zone})

        assert rows_of(database, USER_ACTIVITY) == expected_user_activity(rows)
        assert rows_of(database, PRODUCT_RATING) == expected_product_rating(rows)
        assert rows_of(database, AVERAGE_CHECK) == expected_average_check(rows)
        assert rows_of(database, SALES_DAILY) == expected_sales_daily(rows)
        assert rows_of(database, CUSTOMER_RFM) == expected_customer_rfm(rows)
        assert rows_of(database, COHORT_RETENTION) == expected_cohort_retention(rows)
        marts = {mart: len(rows_of(database, f"SELECT * FROM {mart}")) for mart in MARTS}
        assert built.result["marts"] == marts
        assert built.result["rows_written"] == sum(marts.values())
        assert mysql["MYSQL_PWD"] not in built.log + built.output
        assert run("check-marts", env=mysql).result["failed"] == 0
    kept = {f"_last_{table}" for table in (*marts, "mart_versions")}
    assert tables_of(database) == {
        *TABLES,
        *marts,
        *kept,
        "mart_versions",
        "mart_runs",
        "mart_checks",
        "mart_lineage",
    }
    assert rows_of(database, "SELECT mart, run_id, `rows` FROM mart_versions ORDER BY mart") == [
        (mart, 2, count) for mart, count in sorted(marts.items())
    ]
    assert rows_of(database, "SELECT outcome, `rows` FROM mart_runs") == [("published", sum(marts.values()))] * 2
    assert rows_of(database, "SELECT DISTINCT outcome FROM mart_checks") == [("passed",)]


def test_values_at_the_limits_of_the_replicas_types_arrive_as_they_are(
    database: Any, mysql: dict[str, str], engine: dict[str, str], run: Callable[..., Any]
) -> None:
    rows = few_rows()
    fill(database, rows)
    database.execute("""ALTER TABLE users MODIFY first_name LONGTEXT, MODIFY last_name VARCHAR(255),
        MODIFY loyalty_status VARCHAR(200)""")
    database.execute("ALTER TABLE products MODIFY name LONGTEXT")
    database.execute("ALTER TABLE productcategories MODIFY name LONGTEXT")
    database.execute("ALTER TABLE orders MODIFY total_amount DECIMAL(24,4), MODIFY status VARCHAR(200)")
    name = "Имя \\ ' \" ` \n % " * 1000
    database.execute("UPDATE users SET first_name = %s, last_name = %s, loyalty_status = %s WHERE user_id = 1",
                     (name, "ы" * 255, "g" * 200))  # fmt: skip
    database.execute("UPDATE products SET name = %s WHERE product_id = 1", (name,))
    database.execute("UPDATE productcategories SET name = %s", (name,))
    moments = (
        "0001-01-01 00:00:00.000001", "1582-10-10 12:00:00.000000", "1883-11-18 12:03:57.000000",
        "2025-03-09 02:30:00.000000", "9999-12-31 23:59:59.999999",
    )  # fmt: skip
    amount = Decimal("12345678901234567.8901")
    for n, moment in enumerate(moments):
        database.execute(
            "INSERT INTO orders VALUES (%s, 2, %s, %s, %s, NULL)", (10 + n, moment, amount, "s" * 200)
        )

    run(
        "build-marts",
        env=mysql | engine | {"TZ": "America/New_York", "JDK_JAVA_OPTIONS": "-Duser.timezone=Asia/Tokyo"},
    )

    times = "SELECT CAST(first_activity_at AS CHAR), CAST(last_activity_at AS CHAR) FROM mart_user_activity"
    assert rows_of(database, f"{times} WHERE user_id = 2") == [(moments[0], moments[-1])]
    [(first_name, last_name, status, _)] = rows_of(
        database,
        "SELECT first_name, last_name, loyalty_status, orders FROM mart_user_activity WHERE user_id = 1",
    )
    assert (first_name, last_name, status) == (name, "ы" * 255, "g" * 200)
    assert rows_of(database, "SELECT name, category FROM mart_product_rating WHERE product_id = 1") == [
        (name, name)
    ]
    spent = rows_of(database, "SELECT amount_spent FROM mart_user_activity WHERE user_id = 2")
    assert spent == [(amount * len(moments),)]
    check = rows_of(database, "SELECT average_amount FROM mart_average_check WHERE loyalty_status = 'Silver'")
    assert check == [(Decimal("12345678901234567.89"),)]
    for user, moment in enumerate(moments, 100):
        database.execute("INSERT INTO users VALUES (%s, '', '', 'Silver', '2026-01-01')", (user,))
        database.execute("UPDATE orders SET user_id = %s WHERE order_date = %s", (user, moment))
    run("build-marts", "mart_user_activity", env=mysql | engine | {"TZ": "America/New_York"})
    assert rows_of(database, f"{times} WHERE user_id >= 100 ORDER BY user_id") == [(at, at) for at in moments]


def test_marts_are_built_over_tls_with_an_authority_of_ones_own(tmp_path: Path, run: Callable[..., Any]) -> None:
    authority, other = trustme.CA(), trustme.CA()
    trusted, untrusted = tmp_path / "trusted.pem", tmp_path / "untrusted.pem"
    authority.cert_pem.write_to_path(trusted)
    other.cert_pem.write_to_path(untrusted)
    server = open_server("mysql-9.7", tmp_path / "mysql")
    assert isinstance(server, MySQLContainer)
    try:
        server.start()
        server.require_tls(authority, authority.issue_cert("localhost"))
        with server.database() as settings:
            checked = settings | {"MYSQL_HOST": "localhost", "MYSQL_SSL_MODE": "VERIFY_IDENTITY"}
            with to_mysql(settings) as connection, connection.cursor() as cursor:
                fill(cursor, few_rows())
            built = run("build-marts", env=checked | {"MYSQL_SSL_CA": str(trusted)})
            assert built.result["marts"]["mart_user_activity"] == 2
            # The command itself reaches MySQL, but the reader of the tables does not.
            refused = run("build-marts", env=checked | {"MYSQL_SSL_CA": str(untrusted)}, check=False)
            assert refused.status == 1
            assert "certificate verify failed" in refused.log
    finally:
        server.remove()


def test_marts_of_an_empty_shop_are_empty(
    database: Any, mysql: dict[str, str], engine: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, {table: [] for table in TABLES})
    assert run("build-marts", env=mysql | engine).result["rows_written"] == 0
    assert run("check-marts", env=mysql).result["failed"] == 0


def test_a_mart_built_alone_leaves_the_others_and_is_checked_alone(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    run("build-marts", env=mysql)
    database.execute("INSERT INTO orders VALUES (2, 2, NOW(6), 30, 'Pending', NULL)")
    before = rows_of(database, USER_ACTIVITY)

    built = run("build-marts", "mart_average_check", env=mysql)

    assert built.result["marts"] == {"mart_average_check": 2}
    assert rows_of(database, USER_ACTIVITY) == before
    assert run("check-marts", env=mysql).result["failed"] == 0


def test_a_failed_check_is_named_and_the_old_marts_stay(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    old_marts(database)
    database.execute("INSERT INTO reviews VALUES (2, 2, 2, 9, '', NOW(6))")

    failed = run("build-marts", env=mysql, check=False)

    assert failed.status == 1
    sentence = failed.log.splitlines()[-1]
    assert (
        "mart_product_rating fails average_rating_is_1_to_5: 1 offending rows, such as product_id 2" in sentence
    )
    for mart in MARTS:
        assert rows_of(database, f"SELECT * FROM {mart}") == [("old",)]
    [(outcome, reason)] = rows_of(database, "SELECT outcome, reason FROM mart_runs")
    assert outcome == "rejected"
    assert reason in sentence
    checked = "SELECT mart, `check`, offences, sample FROM mart_checks WHERE outcome = 'failed'"
    assert ("mart_product_rating", "average_rating_is_1_to_5", 1, "product_id 2") in rows_of(database, checked)


def test_a_mart_that_cannot_be_written_is_named_with_the_cause_and_the_old_marts_stay(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    old_marts(database)
    database.execute("UPDATE users SET loyalty_status = NULL")

    failed = run("build-marts", env=mysql, check=False)

    assert failed.status == 1
    sentence = failed.log.splitlines()[-1]
    assert "mart_average_check can't be built" in sentence
    assert "NULL supplied to NOT NULL column 'loyalty_status'" in sentence
    assert rows_of(database, "SELECT * FROM mart_user_activity") == [("old",)]
    [(outcome, reason)] = rows_of(database, "SELECT outcome, reason FROM mart_runs")
    assert (outcome, reason) == ("failed", sentence.partition("ERROR   ")[2])


@contextmanager
def reading(mysql: dict[str, str], query: str) -> Iterator[list[Any]]:
    """Repeat the query on another connection, and yield its results, each change once."""
    seen: list[Any] = []
    done = threading.Event()

    def read() -> None:
        with to_mysql(mysql) as connection:
            while not done.wait(0.001):
                try:
                    with connection.cursor() as cursor:
                        cursor.execute(query)
                        answer: Any = cursor.fetchall()
                except pymysql.MySQLError as error:
                    answer = error
                if not seen or seen[-1] != answer:
                    seen.append(answer)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        done.set()
        reader.join()


def test_readers_see_the_old_marts_or_the_new_ones_and_nothing_else(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    for mart in MARTS:
        database.execute(f"CREATE TABLE {mart} (old INT)")
    query = """SELECT (SELECT COUNT(*) FROM mart_user_activity), (SELECT COUNT(*) FROM mart_product_rating),
        (SELECT COUNT(*) FROM mart_average_check)"""
    with reading(mysql, query) as seen:
        run("build-marts", env=mysql)
    assert seen == [((0, 0, 0),), ((2, 2, 1),)]


def test_a_rollback_brings_back_the_last_version_at_once_and_once(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    refused = run("build-marts", "--rollback", env=mysql, check=False)
    assert (refused.status, "no version of the marts before" in refused.log) == (1, True)
    run("build-marts", env=mysql)
    before = rows_of(database, AVERAGE_CHECK), rows_of(database, USER_ACTIVITY)
    database.execute("INSERT INTO orders VALUES (2, 2, NOW(6), 30, 'Pending', NULL)")
    run("build-marts", env=mysql)
    after = rows_of(database, AVERAGE_CHECK), rows_of(database, USER_ACTIVITY)
    assert before != after

    with reading(mysql, "SELECT SUM(orders) FROM mart_average_check") as seen:
        rolled_back = run("build-marts", "--rollback", env=mysql)

    assert seen == [((2,),), ((1,),)]
    assert set(rolled_back.result["rolled_back"]) == set(MARTS)
    assert (rows_of(database, AVERAGE_CHECK), rows_of(database, USER_ACTIVITY)) == before
    assert rows_of(database, "SELECT run_id, outcome FROM mart_runs") == [(1, "published"), (2, "rolled back")]
    assert run("check-marts", env=mysql).result["failed"] == 0
    again = run("build-marts", "--rollback", env=mysql, check=False)
    assert (again.status, "was rolled back before" in again.log) == (1, True)


def test_a_plan_shows_sources_lineage_and_what_changes_for_readers_and_builds_nothing(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    database.execute(
        "CREATE TABLE mart_average_check (order_status VARCHAR(255) NOT NULL, loyalty_status TEXT, gone INT)"
    )
    before = tables_of(database)

    plan = run("build-marts", "--plan", env=mysql).result

    assert tables_of(database) == before
    checks = plan["mart_average_check"]
    assert set(checks["sources"]) == {"orders", "users"}
    assert checks["columns"]["average_amount"] == ["orders.total_amount"]
    assert checks["columns"]["orders"] == ["orders.*", "users.*"]
    assert sorted(checks["changes"]) == [
        "average_amount comes",
        "breaks readers: gone goes",
        "may break readers: loyalty_status becomes varchar(255) not null, and is text",
        "orders comes",
    ]
    assert plan["mart_user_activity"]["changes"] == ["new"]


def test_a_mart_that_loses_most_of_its_rows_is_published_only_when_that_is_meant(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    rows = few_rows()
    rows["users"] += [(n, "", "", "Gold", datetime(2026, 1, 1)) for n in range(3, 9)]
    fill(database, rows)
    run("build-marts", env=mysql)
    database.execute("DELETE FROM users WHERE user_id > 2")
    refused = run("build-marts", env=mysql, check=False)
    assert refused.status == 1
    assert "mart_user_activity fails rows_are_not_far_fewer" in refused.log
    run("build-marts", "--fewer-rows", env=mysql)
    assert rows_of(database, "SELECT COUNT(*) FROM mart_user_activity") == [(2,)]


def test_a_missing_source_table_asks_for_replicate(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    database.execute("DROP TABLE reviews")
    failed = run("build-marts", env=mysql, check=False)
    assert failed.status == 1
    assert "no table reviews to build the marts from: run replicate first" in failed.log


def test_a_second_build_at_the_same_time_is_refused(
    database: Any, mysql: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    database.execute("SELECT GET_LOCK(CONCAT('build-marts ', DATABASE()), 0)")
    failed = run("build-marts", env=mysql, check=False)
    assert failed.status == 1
    assert "another build-marts works on this database" in failed.log


def test_a_mysql_that_is_down_is_named(mysql: dict[str, str], run: Callable[..., Any]) -> None:
    failed = run("build-marts", env=mysql | {"MYSQL_TCP_PORT": "1"}, check=False)
    assert failed.status == 1
    assert len(failed.log.splitlines()) == 1
    assert "MySQL at 127.0.0.1:1" in failed.log


def test_an_unknown_mart_is_wrong_usage(run: Callable[..., Any]) -> None:
    failed = run("build-marts", "mart_of_nothing", check=False)
    assert failed.status == 2
    assert "mart_average_check" in failed.log


def test_a_spark_that_does_not_start_is_named(
    database: Any, mysql: dict[str, str], spark_cluster: dict[str, str], run: Callable[..., Any]
) -> None:
    fill(database, few_rows())
    failed = run("build-marts", env=mysql | spark_cluster | {"JAVA_HOME": "/nowhere"}, check=False)
    assert failed.status == 1
    assert "Spark does not start on local-cluster[2,1,1024]; check JAVA_HOME" in failed.log.splitlines()[-1]

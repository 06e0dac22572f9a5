"""Marts of a small shop, written with SQL, and the dashboard's role that can read them."""

import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx
import pymysql
from tests.ports import free_port
from tests.servers import MySQL

from martline.dashboard.tables import role_statements

LAST_DAY = date(2026, 11, 20)
DAYS = 400
CATEGORIES = {1: "Tea", 2: "Coffee & cocoa", 3: "<b>Cups</b>", 4: "Tea", 5: "Посуда", 6: "Cakes", 7: "Gifts"}
HOSTILE = "<script>alert(1)</script>\"'&amp;<img src=x onerror=alert(2)>"
SEGMENTS = ("Champions", "Loyal", "New", "Needs attention", "At risk", "Lost", "No orders")
STATUSES = ("Pending", "Completed", "Canceled", "Processing", "Shipped", "Delivered", "Returned", "Failed")
Start = Callable[..., "subprocess.Popen[str]"]
TABLES = (
    """CREATE TABLE mart_sales_daily (day DATE COMMENT 'Day of the orders (UTC)', category_id BIGINT, orders BIGINT NOT NULL, buyers BIGINT NOT NULL,
    revenue DECIMAL(32,2) NOT NULL, average_check DECIMAL(22,2), returns BIGINT NOT NULL,
    PRIMARY KEY (day, category_id), KEY (category_id, day))""",
    """CREATE TABLE mart_average_check (order_status VARCHAR(255), loyalty_status VARCHAR(255),
    orders BIGINT NOT NULL, average_amount DECIMAL(22,2) NOT NULL, PRIMARY KEY (order_status, loyalty_status))""",
    """CREATE TABLE mart_product_rating (product_id BIGINT PRIMARY KEY, name LONGTEXT, category_id BIGINT,
    category LONGTEXT, average_rating DECIMAL(22,2), reviews BIGINT NOT NULL)""",
    """CREATE TABLE mart_customer_rfm (user_id BIGINT PRIMARY KEY, recency_days BIGINT, frequency BIGINT NOT NULL,
    monetary DECIMAL(32,2) NOT NULL, recency_score BIGINT, frequency_score BIGINT, monetary_score BIGINT,
    segment VARCHAR(32) NOT NULL, KEY (segment))""",
    """CREATE TABLE mart_cohort_retention (cohort_month DATE, months_since BIGINT, users BIGINT NOT NULL,
    active_users BIGINT NOT NULL, retention_percent DECIMAL(22,2) NOT NULL,
    PRIMARY KEY (cohort_month, months_since))""",
    """CREATE TABLE mart_user_activity (user_id BIGINT PRIMARY KEY COMMENT 'The user',
    first_name LONGTEXT COMMENT 'First <i>mart</i> name')""",
)
MARTS = [name for statement in TABLES for name in re.findall(r"CREATE TABLE (\w+)", statement)]
VERSIONS = """CREATE TABLE mart_versions (mart VARCHAR(64) PRIMARY KEY, run_id BIGINT NOT NULL,
    built_at DATETIME(6) NOT NULL, lsn VARCHAR(32), position LONGTEXT NOT NULL, `rows` BIGINT NOT NULL)"""
LINEAGE = (
    """CREATE TABLE mart_lineage (mart VARCHAR(64), `column` VARCHAR(64), origin VARCHAR(160),
    PRIMARY KEY (mart, `column`, origin))""",
    """INSERT INTO mart_lineage VALUES ('mart_sales_daily', 'day', 'orders.order_date'),
    ('mart_sales_daily', 'orders', 'orders.*'), ('mart_sales_daily', 'revenue', 'orderdetails.total_price'),
    ('mart_sales_daily', 'revenue', 'orders.status'), ('mart_sales_daily', 'returns', '<i>mart</i>'),
    ('mart_user_activity', 'first_name', 'users.first_name')""",
)
REPLICATION = (
    """CREATE TABLE _replication (slot VARCHAR(63) PRIMARY KEY, applied_lsn BIGINT UNSIGNED NOT NULL,
    applied_changes BIGINT UNSIGNED NOT NULL DEFAULT 0, equal_at DATETIME(6), committed_at BIGINT)""",
    """CREATE TABLE _replication_tables (slot VARCHAR(63), name VARCHAR(64), layout LONGTEXT NOT NULL,
    altering LONGTEXT, stopped LONGTEXT, snapshot_lsn BIGINT UNSIGNED, rows_copied BIGINT UNSIGNED,
    copied_at DATETIME(6), PRIMARY KEY (slot, name))""",
    "INSERT INTO _replication VALUES ('shop', 4311810433, 0, UTC_TIMESTAMP(6), 848000000000000)",
    """INSERT INTO _replication_tables VALUES
    ('shop', 'orders', '', NULL, NULL, 4311810333, 3000, '2026-11-20 08:00:00'),
    ('shop', 'users', '', NULL, '<i>users.phone</i> became an array', 4311810333, 700, '2026-11-20 08:00:00')""",
)
RUNS = (
    """CREATE TABLE mart_runs (run_id BIGINT PRIMARY KEY, started_at DATETIME(6) NOT NULL, seconds DECIMAL(12,2),
    marts LONGTEXT NOT NULL, outcome VARCHAR(16) NOT NULL, reason LONGTEXT)""",
    """CREATE TABLE mart_checks (run_id BIGINT, mart VARCHAR(64), `check` VARCHAR(128), outcome VARCHAR(16) NOT NULL,
    offences BIGINT, sample LONGTEXT, PRIMARY KEY (run_id, mart, `check`))""",
    """INSERT INTO mart_runs VALUES (1, '2026-11-20 07:00:00', 6.5, 'mart_sales_daily', 'published', NULL),
    (2, '2026-11-20 08:00:00', 6.1, 'mart_sales_daily', 'rejected', 'a check failed')""",
    """INSERT INTO mart_checks VALUES (2, 'mart_sales_daily', 'revenue_is_not_negative', 'failed', 3, 'day 2026-11-20'),
    (2, 'mart_sales_daily', 'key_is_set', 'passed', 0, NULL)""",
)


def add_marts(connection: "pymysql.Connection[Any]", seed: int = 1) -> None:
    """Make the marts that the dashboard reads."""
    random_numbers = random.Random(seed)
    with connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement)
        for statement, rows in (
            ("INSERT INTO mart_sales_daily VALUES (%s, %s, %s, %s, %s, %s, %s)", _sales(random_numbers)),
            ("INSERT INTO mart_average_check VALUES (%s, %s, %s, %s)", _checks(random_numbers)),
            ("INSERT INTO mart_product_rating VALUES (%s, %s, %s, %s, %s, %s)", _ratings(random_numbers)),
            ("INSERT INTO mart_customer_rfm VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", _users(random_numbers)),
            ("INSERT INTO mart_cohort_retention VALUES (%s, %s, %s, %s, %s)", _cohorts(random_numbers)),
        ):
            cursor.executemany(statement, rows)
        cursor.execute(VERSIONS)
        for mart in MARTS:
            cursor.execute(
                f"INSERT INTO mart_versions SELECT '{mart}', 1, UTC_TIMESTAMP(6), NULL, '{{}}', COUNT(*) FROM {mart}"
            )


def add(connection: "pymysql.Connection[Any]", statements: tuple[str, ...]) -> None:
    """Run the statements."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def dashboard_role(server: MySQL, settings: Mapping[str, str], host: str) -> Iterator[dict[str, str]]:
    """The settings of the dashboard's role on the database of these settings."""
    database, password = settings["MYSQL_DATABASE"], "a-long-password"
    user = f"d{database[-12:]}"
    with server.admin() as admin, admin.cursor() as cursor:
        for statement in role_statements(user, host, database):
            cursor.execute(statement)
        cursor.execute(f"ALTER USER '{user}'@'{host}' IDENTIFIED BY '{password}' ACCOUNT UNLOCK")
    try:
        yield {**settings, "MYSQL_USER": user, "MYSQL_PWD": password}
    finally:
        with server.admin() as admin, admin.cursor() as cursor:
            cursor.execute(f"DROP USER '{user}'@'{host}'")


def open_pages(start: Start, settings: dict[str, str], *options: object) -> httpx.Client:
    """Start a dashboard, wait until it has read MySQL once, and return a client for it."""
    port = free_port()
    process = start("dashboard", "--port", port, *options, env=settings)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
    wait_for(lambda: answers(client) or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    wait_for(lambda: client.get("/pipeline").status_code != 503)
    return client


def detail(page: str, name: str) -> str:
    """The value of a detail of a stage, on the pipeline's page."""
    found = re.search(rf"<dt>{re.escape(name)}</dt><dd>(.*?)</dd>", page)
    assert found, name
    return found[1]


def answers(client: httpx.Client) -> bool:
    """Whether the dashboard runs."""
    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 240) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _sales(random_numbers: random.Random) -> list[tuple[Any, ...]]:
    rows = []
    for back in range(DAYS):
        day = LAST_DAY - timedelta(days=back)
        for category in CATEGORIES:
            weekly = 1.3 if day.weekday() >= 5 else 1
            orders = int(random_numbers.gauss(40, 8) * weekly * (1 + category / 4) * (1.3 - back / DAYS))
            if orders <= 0:
                continue
            revenue = sum((Decimal(random_numbers.randrange(200, 9999)) / 100 for _ in range(orders)), Decimal(0))
            returns = random_numbers.randrange(0, 4)
            rows.append((day, category, orders, orders, revenue, _cents(revenue / orders), returns))
    return rows


def _checks(random_numbers: random.Random) -> list[tuple[Any, ...]]:
    return [
        (status, loyalty, random_numbers.randrange(10, 900), Decimal(random_numbers.randrange(3000, 9000)) / 100)
        for status in STATUSES
        for loyalty in ("Gold", "Silver", "Bronze")
    ]


def _ratings(random_numbers: random.Random) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [(1, HOSTILE, 3, CATEGORIES[3], Decimal("5.00"), 500)]
    for product in range(2, 200):
        category = 1 + product % 7
        reviews = random_numbers.randrange(0, 60)
        rating = Decimal(random_numbers.randrange(120, 490)) / 100 if reviews else None
        rows.append((product, f"Product № {product}", category, CATEGORIES[category], rating, reviews))
    return rows


def _users(random_numbers: random.Random) -> list[tuple[Any, ...]]:
    rows = []
    for user in range(1, 1500):
        segment = random_numbers.choices(SEGMENTS, (9, 18, 12, 14, 8, 20, 6))[0]
        orders = 0 if segment == "No orders" else random_numbers.randrange(1, 20)
        rows.append((user, 5, orders, Decimal(orders * 3333) / 100, 3, 3, 3, segment))
    return rows


def _cohorts(random_numbers: random.Random) -> list[tuple[Any, ...]]:
    rows = []
    for back in range(14):
        months = 2026 * 12 + 10 - back
        users = random_numbers.randrange(80, 140)
        for since in range(back + 1):
            active = int(users * random_numbers.uniform(0.5, 0.6) / (1 + since / 3))
            percent = _cents(Decimal(active * 100) / users)
            rows.append((date(months // 12, months % 12 + 1, 1), since, users, active, percent))
    return rows

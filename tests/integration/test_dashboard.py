"""The dashboard on a real server: its numbers are compared with SQL on the marts, through another driver."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest
from markupsafe import escape
from tests.connections import to_mysql, to_mysql_by_another_driver
from tests.dashboard import (
    CATEGORIES,
    HOSTILE,
    LAST_DAY,
    LINEAGE,
    REPLICATION,
    RUNS,
    Start,
    add,
    add_marts,
    answers,
    dashboard_role,
    open_pages,
    wait_for,
)
from tests.ports import free_port
from tests.servers import MySQL, MySQLContainer, open_server

pytestmark = pytest.mark.pairs

FIRST = LAST_DAY - timedelta(days=89)
WHOLE = {
    "categories": "SELECT category_id, SUM(orders), SUM(revenue) AS revenue, SUM(returns) FROM mart_sales_daily"
    f" WHERE day BETWEEN '{FIRST}' AND '{LAST_DAY}' GROUP BY category_id ORDER BY revenue DESC",
    "checks": "SELECT * FROM mart_average_check ORDER BY 1, 2",
    "segments": "SELECT segment, COUNT(*) AS users, SUM(frequency), SUM(monetary) FROM mart_customer_rfm"
    " GROUP BY segment ORDER BY users DESC, segment",
    "retention": "SELECT * FROM mart_cohort_retention WHERE cohort_month >= '2025-12-01'"
    " ORDER BY cohort_month DESC, months_since",
    "best": "SELECT product_id, name, category, average_rating, reviews FROM mart_product_rating"
    " WHERE reviews >= 3 ORDER BY average_rating DESC, reviews DESC, product_id LIMIT 8",
    "worst": "SELECT product_id, name, category, average_rating, reviews FROM mart_product_rating"
    " WHERE reviews >= 3 ORDER BY average_rating, reviews DESC, product_id LIMIT 8",
}
COLUMNS = {
    "categories": ("category_id", "orders", "revenue", "returns"),
    "checks": ("order_status", "loyalty_status", "orders", "average_amount"),
    "segments": ("segment", "users", "orders", "revenue"),
    "retention": ("cohort_month", "months_since", "users", "active_users", "retention_percent"),
    "best": ("product_id", "name", "category", "average_rating", "reviews"),
    "worst": ("product_id", "name", "category", "average_rating", "reviews"),
}


@pytest.fixture
def ask(mysql: dict[str, str]) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Query MySQL with a driver that the dashboard does not use."""
    connection = to_mysql_by_another_driver(mysql)

    def ask(query: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    yield ask
    connection.close()


def _text(value: Any) -> str:
    """A value as a text; the driver returns some texts of the catalogue as bytes."""
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)


def numbers(client: httpx.Client, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_every_number_equals_sql_on_the_marts(
    start: Start, role: dict[str, str], owner: Any, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    add_marts(owner)
    client = open_pages(start, role)
    for chosen, condition in (("", ""), ("&category=3", " AND category_id = 3")):
        days = f"from={FIRST}&to={LAST_DAY}{chosen}"
        by_day = ask(
            "SELECT day, SUM(revenue), SUM(orders) FROM mart_sales_daily"
            f" WHERE day BETWEEN '{FIRST}' AND '{LAST_DAY}'{condition} GROUP BY day ORDER BY day"
        )
        assert len(by_day) == 90
        assert [
            (row["from"], row["to"], row["revenue"]) for row in numbers(client, f"/shop/revenue.csv?{days}")
        ] == [(str(day), str(day), str(revenue)) for day, revenue, _ in by_day]
        assert [row["orders"] for row in numbers(client, f"/shop/orders.csv?{days}")] == [
            str(orders) for _, _, orders in by_day
        ]
        average = [str((r / o).quantize(Decimal("0.01"), ROUND_HALF_UP)) for _, r, o in by_day]
        assert [row["average_check"] for row in numbers(client, f"/shop/average_check.csv?{days}")] == average
        before = ask(
            "SELECT SUM(revenue) FROM mart_sales_daily WHERE day BETWEEN"
            f" '{FIRST - timedelta(days=90)}' AND '{FIRST - timedelta(days=1)}'{condition} GROUP BY day ORDER BY day"
        )
        assert [row["revenue_before"] for row in numbers(client, f"/shop/revenue.csv?{days}")] == [
            str(revenue) for (revenue,) in before
        ]
    in_category = ask(
        "SELECT average_check FROM mart_sales_daily WHERE category_id = 3"
        f" AND day BETWEEN '{FIRST}' AND '{LAST_DAY}' ORDER BY day"
    )
    assert [row["average_check"] for row in numbers(client, f"/shop/average_check.csv?{days}")] == [
        str(check) for (check,) in in_category
    ]
    page = client.get("/?lang=en").text
    for name, query in WHOLE.items():
        expected = [tuple("" if value is None else str(value) for value in row) for row in ask(query)]
        assert expected
        shown = numbers(client, f"/shop/{name}.csv")
        assert [tuple(row[column] for column in COLUMNS[name]) for row in shown] == expected
    for (revenue,) in ask(
        f"SELECT SUM(revenue) FROM mart_sales_daily WHERE day BETWEEN '{FIRST}' AND '{LAST_DAY}' GROUP BY category_id"
    ):
        assert f">{revenue:,.2f}<" in page


def test_a_million_users_are_counted_as_sql_counts_them(
    start: Start, role: dict[str, str], owner: Any, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    add_marts(owner)
    others = "recency_days, recency_score, frequency_score, monetary_score, frequency, monetary, segment"
    count = 0
    with owner.cursor() as cursor:
        while count < 1_000_000:
            [(count, highest)] = ask("SELECT COUNT(*), MAX(user_id) FROM mart_customer_rfm")
            cursor.execute(
                f"INSERT INTO mart_customer_rfm (user_id, {others})"
                f" SELECT user_id + {highest}, {others} FROM mart_customer_rfm"
            )
    client = open_pages(start, role)
    shown = numbers(client, "/shop/segments.csv")
    assert [tuple(row[column] for column in COLUMNS["segments"]) for row in shown] == [
        tuple(str(value) for value in row) for row in ask(WHOLE["segments"])
    ]
    assert sum(int(row["users"]) for row in shown) >= 1_000_000
    assert client.get("/").status_code == client.get("/pipeline").status_code == 200


def test_a_name_full_of_html_is_text(start: Start, role: dict[str, str], owner: Any) -> None:
    add_marts(owner)
    add(owner, REPLICATION)
    client = open_pages(start, role)
    for page in (
        client.get("/?lang=en").text,
        client.get("/?category=3&lang=ru").text,
        client.get("/pipeline").text,
    ):
        assert "<script>alert" not in page
        assert "onerror=alert(2)>" not in page
        assert "<b>Cups" not in page
        assert "<i>users" not in page
        assert " style=" not in page
    assert "&lt;script&gt;alert(1)" in client.get("/").text
    assert numbers(client, "/shop/best.csv")[0]["name"] == HOSTILE
    assert CATEGORIES[1] == CATEGORIES[4]
    assert ">Tea (1)<" in client.get("/").text


def test_stopped_tables_and_failed_checks_are_named_with_the_reason_and_what_to_do(
    start: Start, role: dict[str, str], owner: Any
) -> None:
    add_marts(owner)
    add(owner, REPLICATION + RUNS)
    client = open_pages(start, role)
    page = client.get("/pipeline?lang=en").text
    assert "Needs attention: 3" in page
    assert "The table users is stopped" in page
    assert "&lt;i&gt;users.phone&lt;/i&gt; became an array" in page
    assert "<code>replicate --recopy users</code>" in page
    assert "mart_sales_daily fails the check revenue_is_not_negative" in page
    assert "Offending rows: 3, such as day 2026-11-20" in page
    assert "The last build of the marts (2) was not published" in page
    assert "1/1010181" in page  # the LSN 4311810433 as PostgreSQL writes it
    assert page.count('<tr class="bad">') == 3
    for language, words in {
        "en": ("Started", "rejected", "Offending rows"),
        "ru": ("Начат", "отклонён", "Проверка"),
    }.items():
        page = client.get(f"/pipeline?lang={language}").text
        assert all(re.search(rf"<t[hd][^>]*>{word}</t[hd]>", page) for word in words), language
        assert "started_at" not in page


def test_each_mart_has_the_version_that_its_build_has_recorded(
    start: Start, role: dict[str, str], owner: Any, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    add_marts(owner)
    add(owner, ("UPDATE mart_versions SET run_id = 1234, `rows` = 4321 WHERE mart = 'mart_customer_rfm'",))
    page = open_pages(start, role).get("/pipeline?lang=en").text
    for mart, rows, run, day in ask("SELECT mart, `rows`, run_id, built_at FROM mart_versions"):
        row = f'<td>{mart}</td><td class="n">{rows:,}</td><td class="n">{run:,}</td><td class="t">'
        assert f"{row}{day:%-d %b %Y}" in page
        assert f"{day:%H:%M:%S} UTC" in page
    [(total,)] = ask("SELECT SUM(`rows`) FROM mart_versions")
    assert f"<dt>Rows</dt><dd>{total:,}</dd>" in page


def test_each_column_of_each_mart_has_its_meaning_type_and_origins(
    start: Start, role: dict[str, str], owner: Any, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    add_marts(owner)
    client = open_pages(start, role)
    assert "The record mart_lineage" in client.get("/pipeline?lang=en").text
    add(owner, LINEAGE)
    wait_for(lambda: 'id="lineage-mart_sales_daily"' in client.get("/pipeline").text)
    page = client.get("/pipeline?lang=en").text
    columns = ask(
        "SELECT c.table_name, c.column_name, c.column_comment, c.column_type, COALESCE(("
        " SELECT GROUP_CONCAT(origin ORDER BY origin SEPARATOR ', ') FROM mart_lineage l"
        " WHERE l.mart = c.table_name AND l.`column` = c.column_name), '–') FROM information_schema.columns c"
        " WHERE table_schema = DATABASE() AND table_name IN"
        " ('mart_average_check', 'mart_cohort_retention', 'mart_customer_rfm', 'mart_product_rating',"
        " 'mart_sales_daily', 'mart_user_activity')"
    )
    assert len(columns) > 30
    for mart, *cells in columns:
        _, _, after = page.partition(f'<details id="lineage-{mart}">')
        of_mart, _, _ = after.partition("</details>")
        name, meaning, kind, origins = (str(escape(_text(cell))) for cell in cells)
        assert (
            f'<tr><td>{name}</td><td class="long">{meaning}</td><td>{kind}</td><td class="long">{origins}</td></tr>'
            in of_mart
        )
    assert "<i>mart" not in page


def test_without_marts_it_says_which_commands_make_them(start: Start, role: dict[str, str], owner: Any) -> None:
    client = open_pages(start, role)
    page = client.get("/?lang=en")
    assert page.status_code == 200
    assert re.findall(r"<code>(.*?)</code>", page.text) == [
        "shop-init",
        "shop-generate",
        "replicate",
        "build-marts",
    ]
    pipeline = client.get("/pipeline?lang=en").text
    assert "The mart mart_sales_daily" in pipeline
    assert "The replica&#39;s state" in pipeline
    add_marts(owner)
    wait_for(lambda: 'id="revenue"' in client.get("/").text)
    add(owner, ("DROP TABLE mart_customer_rfm",))
    wait_for(lambda: "mart_customer_rfm is not there yet" in client.get("/?lang=en").text)
    assert 'class="picture' in client.get("/").text


def test_new_marts_are_shown_after_their_build(
    start: Start, role: dict[str, str], owner: Any, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    add_marts(owner)
    client = open_pages(start, role)
    old = client.get("/shop/revenue.csv").text
    add(
        owner,
        (
            "CREATE TABLE _staging LIKE mart_sales_daily",
            "INSERT INTO _staging SELECT day, category_id, orders, buyers, revenue * 2, average_check, returns"
            " FROM mart_sales_daily",
            "CREATE TABLE _staging_versions AS SELECT * FROM mart_versions",
            "UPDATE _staging_versions SET run_id = 2 WHERE mart = 'mart_sales_daily'",
            "RENAME TABLE mart_sales_daily TO _old, _staging TO mart_sales_daily,"
            " mart_versions TO _old_versions, _staging_versions TO mart_versions",
        ),
    )
    wait_for(lambda: client.get("/shop/revenue.csv").text != old)
    [(total,)] = ask(
        "SELECT SUM(revenue) FROM mart_sales_daily WHERE day = (SELECT MAX(day) FROM mart_sales_daily)"
    )
    assert numbers(client, "/shop/revenue.csv")[-1]["revenue"] == str(total)


def test_the_role_can_do_nothing_else(role: dict[str, str], owner: Any) -> None:
    add_marts(owner)
    add(owner, ("CREATE TABLE users (user_id BIGINT PRIMARY KEY, email VARCHAR(255))",))
    with to_mysql(role) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM mart_sales_daily")
        for statement in (
            "SELECT * FROM users",
            "SELECT * FROM mart_user_activity",
            "SELECT first_name FROM mart_user_activity",
            "CREATE TABLE other (user_id BIGINT, FOREIGN KEY (user_id) REFERENCES mart_user_activity (user_id))",
            "DELETE FROM mart_sales_daily",
            "UPDATE mart_sales_daily SET orders = 0",
            "DROP TABLE mart_sales_daily",
            "CREATE TABLE mart_runs (id BIGINT)",
            "SELECT * FROM mysql.user",
            "CREATE DATABASE other",
        ):
            with pytest.raises(pymysql.MySQLError, match=r"denied|1142|1044"):
                cursor.execute(statement)


def test_beyond_this_machine_it_asks_for_the_password(
    start: Start, role: dict[str, str], owner: Any, tmp_path: Path
) -> None:
    add_marts(owner)
    add(owner, REPLICATION)
    file = tmp_path / "password"
    file.write_text("correct horse battery\n")
    port = free_port()
    start("dashboard", "--host", "0.0.0.0", "--port", port, "--password-file", file, env=role)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
    wait_for(lambda: answers(client))
    for address in ("/", "/pipeline", "/shop/revenue.csv"):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert client.post("/login", data={"password": "wrong"}).status_code == 401
    entered = client.post("/login", data={"password": "correct horse battery"})
    assert entered.status_code == 303
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert "SameSite=strict" in entered.headers["set-cookie"]
    wait_for(lambda: client.get("/").status_code == 200)
    token = client.cookies["martline_dashboard"]
    client.post("/logout")
    client.cookies.set("martline_dashboard", token)
    assert client.get("/").status_code == 303


def test_the_headers_let_browsers_load_nothing_from_elsewhere(
    start: Start, role: dict[str, str], owner: Any
) -> None:
    add_marts(owner)
    client = open_pages(start, role)
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//', page.text) == []
    assert client.get("/", headers={"Host": "shop.example"}).status_code == 421
    [style] = re.findall(r'href="(/static/dashboard.css[^"]*)"', page.text)
    packed, plain = (client.get(style, headers={"Accept-Encoding": how}) for how in ("gzip", "identity"))
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/?from=today").status_code == 400
    assert client.get("/?category=1%20OR%201").status_code == 400
    assert client.get("/nothing").status_code == 404
    assert client.get("/shop/nothing.csv").status_code == 404


def test_while_mysql_is_away_the_last_state_is_shown_with_its_age(
    start: Start, tmp_path: Path, pair: tuple[str, str]
) -> None:
    own = open_server(pair[1], tmp_path / pair[1])
    own.start()
    try:
        assert isinstance(own, MySQL)
        with own.database() as settings:
            with to_mysql(settings) as connection:
                add_marts(connection)
            host = "%" if isinstance(own, MySQLContainer) else "127.0.0.1"
            with dashboard_role(own, settings, host) as role:
                client = open_pages(start, role)
                shown = client.get("/shop/revenue.csv").text
                own.kill()
                wait_for(lambda: "MySQL does not answer" in client.get("/?lang=en").text)
                page = client.get("/pipeline?lang=en").text
                assert re.search(r"this is what it said \d+ seconds? ago", page)
                assert client.get("/shop/revenue.csv").text == shown
                own.start()
                wait_for(lambda: "MySQL does not answer" not in client.get("/?lang=en").text)
    finally:
        own.remove()

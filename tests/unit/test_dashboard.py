"""The dashboard without servers: texts, addresses, sums, charts and logins."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from martline.dashboard import charts
from martline.dashboard.charts.palette import LIGHT
from martline.dashboard.charts.svg import draw
from martline.dashboard.pages.figure import Column, Table
from martline.dashboard.pages.formats import Formats
from martline.dashboard.pages.texts import ENTRIES, LANGUAGES, preferred
from martline.dashboard.pages.view import Period, View, WrongAddress
from martline.dashboard.reading.sales import Sales, Totals
from martline.dashboard.tables import MARTS
from martline.dashboard.web.cache import Cache
from martline.dashboard.web.security import Door, is_loopback
from martline.marts import catalogue

READ_COLUMNS = {
    "mart_sales_daily": {"day", "category_id", "orders", "revenue", "returns"},
    "mart_average_check": {"order_status", "loyalty_status", "orders", "average_amount"},
    "mart_product_rating": {"product_id", "name", "category_id", "category", "average_rating", "reviews"},
    "mart_customer_rfm": {"segment", "frequency", "monetary"},
    "mart_cohort_retention": {"cohort_month", "months_since", "users", "active_users", "retention_percent"},
}


def test_the_marts_have_the_columns_that_the_pages_read() -> None:
    assert set(READ_COLUMNS) == set(MARTS)
    for mart, columns in READ_COLUMNS.items():
        assert columns <= {column.name for column in catalogue.MARTS[mart].columns}


def test_every_text_is_there_in_each_language_and_names_the_same_values() -> None:
    for key, entry in ENTRIES.items():
        assert set(entry) == set(LANGUAGES), key
        values = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in entry.values()]
        assert values[0] == values[1], key


def test_every_text_that_a_template_asks_for_is_there() -> None:
    templates = files("martline.dashboard.pages").joinpath("templates")
    asked = {key for file in templates.iterdir() for key in re.findall(r't\("([^"]+)"[,)]', file.read_text())}
    assert asked
    assert asked <= set(ENTRIES)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("de,en;q=0.5,ru;q=0.7", "ru"),
        ("fr", "en"),
        ("en;q=x,ru", "ru"),
    ],
)
def test_the_language_is_the_one_that_the_browser_asks_for_most(header: str, language: str) -> None:
    assert preferred(header) == language


def test_an_address_says_the_view_and_the_view_its_address() -> None:
    query = {"from": "2026-01-01", "to": "2026-01-31", "category": "17", "lang": "ru", "look": "dark"}
    view = View.of("/", query, "en")
    assert (view.first, view.last, view.category) == (date(2026, 1, 1), date(2026, 1, 31), 17)
    assert view.address() == "/?from=2026-01-01&to=2026-01-31&category=17&lang=ru&look=dark"
    assert view.address("/pipeline", first=None, last=None, category=None) == "/pipeline?lang=ru&look=dark"
    assert Period(date(2026, 1, 1), date(2026, 1, 31)).before == Period(date(2025, 12, 1), date(2025, 12, 31))


@pytest.mark.parametrize(
    "query",
    [
        {"from": "01.02.2026"},
        {"to": "2026-02-30"},
        {"from": "0001-01-01"},
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"category": "1; DROP"},
        {"category": "٣"},
        {"lang": "de"},
        {"look": "blue"},
    ],
)
def test_an_address_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(WrongAddress):
        View.of("/", query, "")


def test_sums_of_sales_are_exact_also_beyond_64_bits() -> None:
    large = Decimal("99999999999999999999999999.99")
    day = date(2026, 1, 1)
    sales = Sales(
        [(day, 1, 2, large, 0), (day, 2, 1, Decimal("0.02"), 1), (date(2026, 1, 3), 1, 3, Decimal(10), 0)], 2
    )
    assert sales.totals(day, day).revenue == Decimal("100000000000000000000000000.01")
    by_days = sales.by_days(day, date(2026, 1, 3), 1, 1)
    assert by_days == [Totals(2, large, 0), Totals(0, Decimal(0), 0), Totals(3, Decimal(10), 0)]
    assert [totals.average_check for totals in by_days[1:]] == [None, Decimal("3.33")]
    assert Totals(8, Decimal("1.00"), 0).average_check == Decimal("0.13")
    assert not Sales([], 2)


def test_a_table_as_csv_is_what_the_mart_has() -> None:
    table = Table(
        (Column("day", "День", "day"), Column("sum", "Сумма", "money")), [(date(2026, 1, 2), Decimal("1234.50"))]
    )
    assert table.csv() == "day,sum\r\n2026-01-02,1234.50\r\n"


def test_numbers_are_written_as_the_language_writes_them() -> None:
    english, russian = Formats("en"), Formats("ru")
    assert english.money(Decimal("1234567.5")) == "1,234,567.50"
    assert russian.money(Decimal("1234567.5")) == "1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567,50"
    assert english.money(Decimal("0.1234")) == "0.1234"
    assert english.short(Decimal("20.00")) == "20.00"
    assert english.short(1_234_567) == "1.23M"
    assert english.change(Decimal("-0.0612")) == "\N{MINUS SIGN}6.1 %"
    assert english.age(3600) == "1 hour ago"
    assert russian.age(7200) == "2 часа назад"
    assert english.money(None) == "–"


def test_a_chart_is_svg_in_the_colours_of_the_page_without_styles_and_its_texts_are_as_they_are() -> None:
    hostile = '<b onclick="x()">&amp; "#2f5fd0" 4.8571</b>'
    rows = [{"product": "Tea", "rating": 4.86, "label": hostile}]
    svg = draw(charts.ratings(rows, width=500), name="best-500", title='Best "rated"', language="en")
    assert svg.startswith('<svg class="chart" viewBox="0 0 ')
    assert 'aria-label="Best &quot;rated&quot;"' in svg
    assert "<b onclick" not in svg
    assert "4.8571" in svg
    assert "style" not in svg
    assert 'fill="var(--good)"' in svg
    assert not [colour for colour in LIGHT.values() if f'="{colour}"' in svg]


def test_no_two_colours_of_the_charts_are_the_same_and_the_style_sheet_has_all() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT)
    sheet = files("martline.dashboard.pages").joinpath("static", "dashboard.css").read_text()
    for name in LIGHT:
        assert f"--{name}: light-dark(" in sheet


def test_a_cache_makes_what_it_was_asked_for_once_and_forgets_the_oldest() -> None:
    made: list[int] = []

    def make(value: int) -> Callable[[], int]:
        def made_once() -> int:
            made.append(value)
            return value

        return made_once

    cache: Cache[int] = Cache(2)
    for value in (1, 2, 1, 3, 1, 2):
        assert cache.get(value, make(value)) == value
    assert made == [1, 2, 3, 2]
    with pytest.raises(ZeroDivisionError):
        cache.get("fails", lambda: 1 // 0)
    assert cache.get("fails", lambda: 7) == 7


def test_a_session_is_known_by_its_hash_until_it_is_closed() -> None:
    door = Door("correct horse battery")
    token = door.open("correct horse battery")
    assert token is not None
    cookies = {"martline_dashboard": token}
    assert door.knows(cookies)
    assert token not in repr(vars(door))
    assert not door.knows({})
    assert door.open("wrong") is None
    door.close(cookies)
    assert not door.knows(cookies)


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("shop", False)],
)
def test_only_the_loopback_interface_is_this_machine_alone(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_without_a_password_others_are_not_let_in(run: Callable[..., Any], tmp_path: Path) -> None:
    settings = {"MYSQL_HOST": "127.0.0.1", "MYSQL_USER": "nobody", "MYSQL_DATABASE": "none"}
    refused = run("dashboard", "--host", "0.0.0.0", env=settings, check=False)
    assert refused.status == 2
    assert "there is no password" in refused.log
    short = tmp_path / "short"
    short.write_text("short")
    refused = run("dashboard", "--host", "0.0.0.0", "--password-file", short, env=settings, check=False)
    assert refused.status == 2
    assert "is shorter than 12 characters" in refused.log

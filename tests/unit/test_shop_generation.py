"""The generated shop: the same bytes everywhere, and rows that are consistent with each other."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import NormalDist, mean
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from martline.shop.generation.csv import as_csv
from martline.shop.generation.dirty import defects
from martline.shop.generation.make import Maker
from martline.shop.generation.numbers import Numbers, column_key
from martline.shop.generation.orders import BLOCK
from martline.shop.generation.plan import LOCALES, TABLES, Plan, Sizes, own_leaves
from martline.shop.generation.popularity import Exponent, Popularity
from martline.shop.generation.products import PARTS, QUANTILES, SPREAD
from martline.shop.generation.request import Request
from martline.shop.generation.shop import Shop
from martline.shop.generation.spread import spread
from martline.shop.generation.users import POINTS_OF_GOLD, POINTS_OF_SILVER
from martline.shop.generation.workers import Workers

UNTIL = date(2026, 11, 28)
END = datetime(2026, 11, 29)
SMALL = Sizes(users=60, products=40, orders=3 * BLOCK, reviews=900, loyalty=3 * BLOCK)
LARGE = Sizes(users=2000, products=1500, orders=20_000, reviews=15_000, loyalty=20_000)
# Checksums of the small shop's tables. Users expect the same rows from a seed, so change a checksum only for a
# good reason.
GOLDEN = {
    (1, "en_US"): {
        "users": "4c4699c912971eab",
        "productcategories": "45ba0faaa089e6e3",
        "products": "fdb04524c74356ad",
        "orders": "5b7ae4ba7b0b35f2",
        "orderdetails": "5d0143a5e9b9b884",
        "reviews": "9db7f2759356dda5",
        "loyaltypoints": "3ea458dace91cbcd",
    },
    (1, "ru_RU"): {
        "users": "1e0f7b70bf491135",
        "productcategories": "6f35e2ddd035966c",
        "products": "b0b0e7ced2e7cb7c",
        "orders": "a0ad4527d112fe43",
        "orderdetails": "0572b6c71024ddff",
        "reviews": "86d795983193b955",
        "loyaltypoints": "29c13dbfd43d2178",
    },
    (2, "en_US"): {
        "users": "57cbb15a5d20a0f8",
        "productcategories": "45ba0faaa089e6e3",
        "products": "2dc08c7673900405",
        "orders": "980f6d4d2bb95825",
        "orderdetails": "a4f74a44d7c591f5",
        "reviews": "50620173e92b557c",
        "loyaltypoints": "14474e5d12c2e7b5",
    },
    (2, "ru_RU"): {
        "users": "8b48d9e8614c5ec9",
        "productcategories": "6f35e2ddd035966c",
        "products": "e487a4b894d6fc38",
        "orders": "9b000f00667f5555",
        "orderdetails": "5257ffd8b35c9c84",
        "reviews": "3f23ded249841276",
        "loyaltypoints": "5b6439e35b02f4ba",
    },
}


def plan(sizes: Sizes = SMALL, seed: int = 1, locale: str = "en_US") -> Plan:
    return Plan(seed, sizes, locale, UNTIL, leaves=own_leaves(locale))


def sums(maker: Maker, piece: int) -> dict[str, str]:
    """The first digits of each table's SHA-256."""
    found = {}
    for table in TABLES:
        digest = hashlib.sha256()
        for _, rows in maker.as_csv(table, piece):
            digest.update(rows)
        found[table] = digest.hexdigest()[:16]
    return found


@pytest.mark.parametrize(("seed", "locale"), list(GOLDEN))
def test_a_seed_gives_the_same_bytes_on_every_machine(seed: int, locale: str) -> None:
    with Workers(0) as workers:
        assert sums(Maker(plan(seed=seed, locale=locale), workers), 2**16) == GOLDEN[seed, locale]


@pytest.mark.parametrize(("processes", "piece"), [(0, 100), (0, 1023), (1, 500), (3, 777)])
def test_neither_processes_nor_the_size_of_a_piece_change_a_byte(processes: int, piece: int) -> None:
    with Workers(processes) as workers:
        assert sums(Maker(plan(), workers), piece) == GOLDEN[1, "en_US"]


@pytest.mark.timeout(60)
def test_pieces_that_fill_the_pipes_of_the_processes_come_in_order() -> None:
    users = plan(Sizes(200_000, 0, 0, 0, 0))
    with Workers(2) as workers:
        made = list(Maker(users, workers).as_csv("users", 20_000))
    assert [count for count, _ in made] == [20_000] * 10
    with Workers(0) as workers:
        assert list(Maker(users, workers).as_csv("users", 20_000)) == made


@settings(deadline=None, max_examples=25)
@given(table=st.sampled_from(TABLES), data=st.data())
def test_any_range_of_rows_is_made_alone(table: str, data: st.DataObject) -> None:
    shop = Shop(plan())
    count = shop.count(table)
    first = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(first + 1, min(count, first + 50)))
    whole = as_csv(shop.rows(table, 0, count)).splitlines()
    assert as_csv(shop.rows(table, first, end)).splitlines() == whole[first:end]


def test_the_numbers_are_those_of_splitmix() -> None:
    """Compare them with SplitMix64's published implementation, which steps from one number to the next."""
    state = int(column_key(7, "a column"))

    def step() -> Iterator[int]:
        nonlocal state
        while True:
            mixed = state
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
            yield mixed ^ (mixed >> 31)
            state = (state + 0x9E3779B97F4A7C15) % 2**64

    expected = [number for number, _ in zip(step(), range(1000), strict=False)]
    assert Numbers(7).raw("a column", np.arange(1000)).tolist() == expected


@settings(max_examples=200)
@given(rows=st.integers(0, 2**31), bound=st.integers(1, 2**52 - 1))
def test_a_number_is_below_its_bound(rows: int, bound: int) -> None:
    found = Numbers(1).below("column", np.arange(rows, rows + 100), bound)
    assert found.min() >= 0
    assert found.max() < bound


def test_prices_do_not_depend_on_the_last_digits_of_a_logarithm() -> None:
    normal = NormalDist(sigma=SPREAD)
    exact = [math.exp(normal.inv_cdf((number + 0.5) / QUANTILES)) * PARTS for number in range(QUANTILES)]
    assert min(abs(value % 1 - 0.5) for value in exact) > 1e-6


@settings(max_examples=100)
@given(count=st.integers(1, 500), among=st.integers(1, 500))
def test_rows_are_spread_over_others_evenly(count: int, among: int) -> None:
    chosen = Counter(spread(np.arange(count), count, among).tolist())
    assert set(chosen) <= set(range(among))
    assert len(chosen) == min(count, among)
    assert max(chosen.values()) - min((chosen[number] for number in range(among)), default=0) <= 1


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_the_smallest_shops_are_whole(size: int) -> None:
    shop = Shop(plan(Sizes(size, size, size, size, size), seed=size))
    for table in TABLES:
        assert shop.rows(table, 0, shop.count(table)).num_rows == shop.count(table) > 0


def test_a_plan_is_kept_whole() -> None:
    earlier = plan(LARGE, 8, "ru_RU")
    kept = Plan(3, SMALL, "en_US", UNTIL, leaves=((4, "Tea"),), dirty=2, earlier={"users": earlier})
    assert Plan.from_json(json.loads(json.dumps(kept.as_json()))) == kept


class Rows:
    """A whole shop in columns."""

    def __init__(self, made: Plan) -> None:
        self.shop = Shop(made)
        self.plan = made

    def __call__(self, table: str) -> pa.Table:
        return pa.table(self.shop.rows(table, 0, self.shop.count(table)))

    def column(self, table: str, name: str) -> list[Any]:
        values: list[Any] = self(table)[name].to_pylist()
        return values


@pytest.fixture(scope="module", params=[(SMALL, 1), (SMALL, 2), (LARGE, 1), (LARGE, 2)], ids=str)
def shop(request: pytest.FixtureRequest) -> Rows:
    sizes, seed = request.param
    return Rows(plan(sizes, seed, LOCALES[seed % 2]))


def by_id(rows: pa.Table) -> dict[int, dict[str, Any]]:
    key = rows.schema.names[0]
    return {row[key]: row for row in rows.to_pylist()}


def test_ids_follow_each_other_and_addresses_are_unique(shop: Rows) -> None:
    for table in TABLES:
        rows = shop(table)
        assert rows[0].to_pylist() == list(range(1, len(rows) + 1))
    emails = shop.column("users", "email")
    assert len(set(emails)) == len(emails)
    assert all(str(email).isascii() for email in emails)


def test_the_categories_are_a_tree_three_deep_and_products_are_in_its_leaves(shop: Rows) -> None:
    parents = dict(
        zip(
            *(shop.column("productcategories", name) for name in ("category_id", "parent_category_id")),
            strict=True,
        )
    )

    def depth(category: object) -> int:
        return 0 if category is None else 1 + depth(parents[category])

    leaves = set(parents) - set(parents.values())
    assert {depth(leaf) for leaf in leaves} == {3}
    assert set(shop.column("products", "category_id")) <= leaves


def test_totals_are_the_sums_of_details_that_name_a_product_once(shop: Rows) -> None:
    sums: Counter[int] = Counter()
    pairs = []
    prices = {key: row["price"] for key, row in by_id(shop("products")).items()}
    for detail in shop("orderdetails").to_pylist():
        assert detail["total_price"] == detail["quantity"] * detail["price_per_unit"]
        assert detail["price_per_unit"] == prices[detail["product_id"]] > 0
        sums[detail["order_id"]] += detail["total_price"]
        pairs.append((detail["order_id"], detail["product_id"]))
    assert len(set(pairs)) == len(pairs)
    assert {order["order_id"]: order["total_amount"] for order in shop("orders").to_pylist()} == sums


def test_dates_and_statuses_fit_together(shop: Rows) -> None:
    users, products, orders = (by_id(shop(table)) for table in ("users", "products", "orders"))
    delivered = {"Delivered", "Completed", "Returned"}
    for order in orders.values():
        ordered, delivery = order["order_date"], order["delivery_date"]
        assert users[order["user_id"]]["registration_date"] <= ordered < END
        assert (delivery is not None) == (order["status"] in delivered)
        assert delivery is None or ordered < delivery < END
        if order["status"] in {"Pending", "Processing", "Shipped"}:
            assert END - ordered <= timedelta(days=13)
    for detail in shop("orderdetails").to_pylist():
        ordered = orders[detail["order_id"]]["order_date"]
        assert products[detail["product_id"]]["creation_date"] <= ordered
    assert max(order["order_date"] for order in orders.values()).date() == UNTIL


def test_reviews_are_of_delivered_purchases_and_ratings_of_the_products_quality(shop: Rows) -> None:
    orders = by_id(shop("orders"))
    purchases: dict[tuple[object, object], list[datetime]] = {}
    for detail in shop("orderdetails").to_pylist():
        order = orders[detail["order_id"]]
        if order["delivery_date"]:
            purchases.setdefault((order["user_id"], detail["product_id"]), []).append(order["delivery_date"])
    ratings: dict[int, list[int]] = {}
    for review in shop("reviews").to_pylist():
        delivered = purchases[review["user_id"], review["product_id"]]
        assert min(delivered) <= review["created_at"] < END
        quality = int(shop.shop.products.quality(np.array([review["product_id"] - 1]))[0])
        ratings.setdefault(quality, []).append(review["rating"])
    often = [mean(ratings[quality]) for quality in sorted(ratings) if len(ratings[quality]) > 300]
    assert all(worse < better for worse, better in pairwise(often))
    reviewed = Counter(zip(shop.column("reviews", "user_id"), shop.column("reviews", "product_id"), strict=True))
    assert all(count <= len(purchases[pair]) for pair, count in reviewed.items())


def test_points_follow_orders_and_the_status_follows_points(shop: Rows) -> None:
    points: Counter[Any] = Counter()
    purchases: Counter[Any] = Counter()
    unit = 10 if shop.plan.locale == "en_US" else 800
    for entry in shop("loyaltypoints").to_pylist():
        points[entry["user_id"]] += entry["points"]
        if entry["reason"] in {"purchase", "покупка"}:
            purchases[entry["user_id"], entry["points"], entry["created_at"]] += 1
    kept = Counter(
        (order["user_id"], int(order["total_amount"] // unit), order["delivery_date"])
        for order in shop("orders").to_pylist()
        if order["status"] in {"Delivered", "Completed"}
    )
    assert purchases == kept
    statuses = set()
    for user in shop("users").to_pylist():
        sum_of_points = points[user["user_id"]]
        gold, silver = sum_of_points >= POINTS_OF_GOLD, sum_of_points >= POINTS_OF_SILVER
        assert user["loyalty_status"] == ("Gold" if gold else "Silver" if silver else "Bronze")
        statuses.add(user["loyalty_status"])
    assert len(statuses) >= 2


def test_orders_grow_over_the_years_with_a_yearly_a_weekly_and_a_daily_season(shop: Rows) -> None:
    moments = [moment for moment in shop.column("orders", "order_date") if isinstance(moment, datetime)]
    days_ago = Counter((END - moment).days // 365 for moment in moments)
    assert days_ago[0] > 1.3 * days_ago[1] > 1.3 * days_ago[2] > 0
    last_year = [moment for moment in moments if END - moment <= timedelta(days=365)]
    months = Counter(moment.month for moment in last_year)
    assert months[12] > 1.1 * months[7]
    weekdays = Counter(moment.weekday() for moment in moments)
    assert weekdays[5] > 1.2 * weekdays[1]
    hours = Counter(moment.hour for moment in moments)
    assert hours[20] > 5 * hours[4]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("count", [1000, 50_000])
@pytest.mark.parametrize(("exponent", "slope"), [(Exponent.ONE, -1.0), (Exponent.THREE_QUARTERS, -0.75)])
def test_choices_follow_zipfs_law(seed: int, count: int, exponent: Exponent, slope: float) -> None:
    popularity = Popularity(Numbers(seed), "rows", count, exponent)
    rows = np.arange(1_000_000)
    chosen = popularity.choose("choice", rows, np.full(len(rows), count))
    often = np.sort(np.bincount(chosen, minlength=count))[::-1][:200]
    found = np.polyfit(np.log(np.arange(1, 201)), np.log(often), 1)[0]
    assert found == pytest.approx(slope, abs=0.05)


def test_products_sell_by_zipfs_law_and_prices_are_log_normal_in_their_category() -> None:
    shop = Rows(plan(LARGE))
    sold = sorted(Counter(shop.column("orderdetails", "product_id")).values(), reverse=True)[:100]
    slope = np.polyfit(np.log(np.arange(1, 101)), np.log(sold), 1)[0]
    assert -1.3 < slope < -0.7
    cents = shop.shop.products.cents(np.arange(LARGE.products))
    leaf = shop.shop.products._leaf(np.arange(LARGE.products))
    logarithms = np.log(cents / shop.shop.products._usual_cents[leaf])
    assert abs(logarithms.mean()) < 0.05
    assert logarithms.std() == pytest.approx(SPREAD, abs=0.03)


def test_texts_fit_the_rating() -> None:
    shop = Rows(plan(LARGE))
    openings: dict[Any, set[str]] = {}
    for review in shop("reviews").to_pylist():
        openings.setdefault(review["rating"], set()).add(review["review_text"].split(".")[0].split("!")[0])
    assert "Excellent" in openings[5]
    assert "A waste of money" in openings[1]
    assert not openings[1] & openings[5]


def test_defects_are_as_many_as_asked_for_and_have_ids_of_their_own() -> None:
    request = Request(SMALL, 1, until=UNTIL, dirty=3)
    made = Shop(request.plan)
    found = defects(made, 3, forbidden=True)
    assert len({kind.kind for kind in found}) == len(found) == 13
    for kind in found:
        assert len(kind.rows) == 3
        first = kind.as_result()["first_id"]
        if kind.kind != "duplicate_key":
            assert first > made.count(kind.table)

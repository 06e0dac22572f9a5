"""What must hold for the marts: named queries, each of which returns the rows that offend."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from martline.command import Failure
from martline.marts.catalogue import MARTS
from martline.marts.database import present_tables
from martline.marts.definition import Mart
from martline.marts.publish import BUILDS


@dataclass(frozen=True)
class Check:
    """A condition on ``marts``, the first of which is to blame.

    ``query`` returns a row for each offence, with what identifies it. It writes ``{mart_...}`` and
    ``{_mart_builds}`` where the names of the tables go that it looks at.
    """

    name: str
    marts: tuple[str, ...]
    query: str


def _checks_of_any(mart: Mart) -> Iterator[Check]:
    key = ", ".join(mart.key)
    unset = " OR ".join(f"{name} IS NULL" for name in mart.key)
    yield Check(
        "key_is_unique_and_set",
        (mart.name,),
        f"SELECT {key} FROM {{{mart.name}}} GROUP BY {key} HAVING COUNT(*) > 1 OR {unset}",  # noqa: S608
    )
    yield Check(
        "rows_are_those_built",
        (mart.name,),
        f"SELECT COUNT(*) AS present, (SELECT `rows` FROM {{{BUILDS}}} WHERE mart = '{mart.name}' "  # noqa: S608
        f"ORDER BY built_at DESC LIMIT 1) AS built FROM {{{mart.name}}} HAVING NOT present <=> built",
    )


def _rows_where(mart: str, name: str, condition: str) -> Check:
    return Check(name, (mart,), f"SELECT {', '.join(MARTS[mart].key)} FROM {{{mart}}} WHERE {condition}")  # noqa: S608


CHECKS = (
    *(check for mart in MARTS.values() for check in _checks_of_any(mart)),
    _rows_where("mart_user_activity", "counts_are_not_negative", "orders < 0 OR reviews < 0"),
    _rows_where("mart_user_activity", "amount_spent_is_not_negative", "amount_spent < 0"),
    _rows_where("mart_user_activity", "amount_spent_needs_orders", "orders = 0 AND amount_spent <> 0"),
    _rows_where("mart_user_activity", "average_rating_is_1_to_5", "average_rating NOT BETWEEN 1 AND 5"),
    _rows_where("mart_user_activity", "average_rating_iff_reviews", "(reviews = 0) <> (average_rating IS NULL)"),
    _rows_where(
        "mart_user_activity",
        "first_activity_before_last",
        "first_activity_at > last_activity_at OR (first_activity_at IS NULL) <> (last_activity_at IS NULL)",
    ),
    _rows_where("mart_product_rating", "counts_are_not_negative", "reviews < 0"),
    _rows_where("mart_product_rating", "average_rating_is_1_to_5", "average_rating NOT BETWEEN 1 AND 5"),
    _rows_where("mart_product_rating", "average_rating_iff_reviews", "(reviews = 0) <> (average_rating IS NULL)"),
    _rows_where("mart_average_check", "orders_are_positive", "orders <= 0"),
    _rows_where("mart_average_check", "average_amount_is_not_negative", "average_amount < 0"),
    Check(
        "orders_add_up",
        ("mart_average_check", "mart_user_activity"),
        "SELECT per_status.orders AS by_status, per_user.orders AS by_user "
        "FROM (SELECT COALESCE(SUM(orders), 0) AS orders FROM {mart_average_check}) per_status, "
        "(SELECT COALESCE(SUM(orders), 0) AS orders FROM {mart_user_activity}) per_user "
        "WHERE per_status.orders <> per_user.orders",
    ),
)


def run(connection: "Connection[Any]", tables: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run the checks that concern only these marts; ``tables`` tells which table to look at for each mart.

    Returns how many checks ran and, for each that failed, a sentence.
    """
    quoted = {name: f"`{table}`" for name, table in tables.items()}
    checks = [check for check in CHECKS if set(check.marts) <= set(tables)]
    failed = []
    with connection.cursor(DictCursor) as cursor:
        for check in checks:
            query = check.query.format_map(quoted)
            # Ordered, so that the same defect is reported in the same words.
            cursor.execute(f"SELECT COUNT(*) OVER () AS offences, q.* FROM ({query}) q ORDER BY 2 LIMIT 1")  # noqa: S608
            for row in cursor.fetchall():
                offences = row.pop("offences")
                sample = ", ".join(f"{name} {value}" for name, value in row.items())
                failed.append(f"{check.marts[0]} fails {check.name}: {offences} offending rows, such as {sample}")
    return len(checks), failed


def run_on_published(connection: "Connection[Any]") -> tuple[int, list[str]]:
    """Run the checks on the marts as readers see them.

    A check that compares marts runs when one build made them: between builds the sources may have changed.
    """
    ran, failed = 0, []
    for marts in _built_together(connection):
        tables = {BUILDS: BUILDS} | {mart: mart for mart in marts}
        checks, sentences = run(connection, tables)
        ran += checks
        failed += sentences
    return ran, failed


def _built_together(connection: "Connection[Any]") -> list[list[str]]:
    missing = sorted({*MARTS, BUILDS} - present_tables(connection))
    if missing:
        raise Failure(f"MySQL has no table {', '.join(missing)} to check: run build-marts first")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT mart, MAX(built_at) FROM `{BUILDS}` GROUP BY mart")  # noqa: S608
        built_at = dict(cursor.fetchall())
    builds: dict[Any, list[str]] = {}
    for mart in MARTS:
        builds.setdefault(built_at.get(mart), []).append(mart)
    return list(builds.values())

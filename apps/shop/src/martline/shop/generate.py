"""Adds a batch of generated rows to PostgreSQL: all rows or none, and each batch only once."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.types.json import Jsonb

from martline.command import Failure, progress
from martline.shop.generation.csv import as_csv
from martline.shop.generation.dirty import as_result, defects, extra_rows, rows_of
from martline.shop.generation.make import Maker
from martline.shop.generation.plan import TABLES, Plan, own_leaves
from martline.shop.generation.request import Request
from martline.shop.generation.schemas import KEYS, SCHEMAS
from martline.shop.generation.users import POINTS_OF_GOLD, POINTS_OF_SILVER
from martline.shop.generation.workers import Workers
from martline.shop.source import Lock

log = logging.getLogger(__name__)

ROWS_OF_A_COPY = 2**19
"""Rows in one COPY. PostgreSQL keeps the foreign keys to check in memory until a COPY ends."""


def generate(connection: psycopg.Connection, request: Request, *, append: bool = False) -> dict[str, Any]:
    """Add a batch of rows in one transaction; return its seed, the number of rows by table, and its defects.

    A batch is identified by its seed: those of its tables that are already in the database are not added again.
    With ``append``, the seed is the next one after the existing ones.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.GENERATE])
        if append:
            request = replace(request, seed=_next_seed(connection))
        known = _Known.read(connection, request)
        wanted = [table for table in TABLES if table in request.only and table not in known.tables]
        if not wanted:
            log.info("the batch with seed %d already exists: nothing to add", request.seed)
            return {"seed": request.seed, "rows": {}, "rows_written": 0}
        with request.workers() as workers:
            batch = _Batch(connection, workers, known.plan)
            added = batch.add(request.plan, wanted)
            known.write(connection, batch.plan, wanted)
    return {"seed": request.seed, **added}


def _next_seed(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT coalesce(max(seed) + 1, 1) FROM shop.generated_batches").fetchone()
    return int(row[0]) if row else 1


@dataclass(frozen=True)
class _Known:
    """The part of a batch that is already in the database."""

    plan: Plan | None
    tables: Sequence[str]

    @classmethod
    def read(cls, connection: psycopg.Connection, request: Request) -> "_Known":
        row = connection.execute(
            "SELECT sizes, plan, tables FROM shop.generated_batches WHERE seed = %s", [request.seed]
        ).fetchone()
        if row is None:
            return cls(None, ())
        sizes, plan, tables = row
        if sizes != asdict(request.sizes):
            raise Failure(
                f"Seed {request.seed} was used for a batch of other sizes ({sizes}): choose another seed"
            )
        if plan is None:
            return cls(None, TABLES)  # stored by an earlier version, which added all tables
        known = Plan.from_json(plan)
        # The batch keeps its last day, because it may be requested again on another day.
        kept = {"locale": known.locale, "dirty": known.dirty}
        for name, found in kept.items():
            if (asked := getattr(request, name)) and asked != found:
                raise Failure(
                    f"Seed {request.seed} was used for a batch with --{name} {found}: choose another seed"
                )
        return cls(known, tables)

    def write(self, connection: psycopg.Connection, plan: Plan, added: Sequence[str]) -> None:
        connection.execute(
            "INSERT INTO shop.generated_batches (seed, sizes, plan, tables) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (seed) DO UPDATE SET tables = excluded.tables",
            [plan.seed, Jsonb(asdict(plan.sizes)), Jsonb(plan.as_json()), [*self.tables, *added]],
        )


class _Batch:
    """Writes one batch, or some of its tables."""

    def __init__(self, connection: psycopg.Connection, workers: Workers, known: Plan | None) -> None:
        self._connection = connection
        self._workers = workers
        self._known = known

    def add(self, asked: Plan, tables: Sequence[str]) -> dict[str, Any]:
        plan = self._known or self._fitted(asked)
        maker = Maker(plan, self._workers)
        if not self._known:
            plan = _with_ids(plan, self._take_ids(maker))
            maker.give_ids(plan)
        self.plan = plan
        found = defects(maker.shop, plan.dirty, forbidden=False)
        counts = dict.fromkeys(tables, 0)
        with progress(sum(map(maker.shop.count, tables)), "rows", "generating") as bar:
            for table in tables:
                bar.set_postfix_str(table, refresh=False)
                with _in_a_sentence(table):
                    for rows in self._copy(table, chain(maker.as_csv(table), _as_csv(rows_of(found, table)))):
                        counts[table] += rows
                        bar.update(rows)
                log.info("%s: %d rows", table, counts[table])
        if "users" in plan.earlier and counts.get("loyaltypoints"):
            self._raise_earlier_users(plan.earlier["users"])
        added = {table: count for table, count in counts.items() if count}
        return {"rows": added, "rows_written": sum(added.values()), **as_result(found)}

    def _fitted(self, plan: Plan) -> Plan:
        """The plan with the existing categories; what the batch lacks is taken from earlier batches."""
        if self._has_categories():
            plan = replace(plan, adds_categories=False, leaves=tuple(self._leaves()))
            if plan.sizes.products and not plan.leaves:
                raise Failure(
                    "Products need a category that is not the parent of another: add one to productcategories"
                )
        return replace(plan, earlier=self._earlier(plan))

    def _earlier(self, plan: Plan) -> Mapping[str, Plan]:
        found = {table: self._latest(table, need) for table, need in plan.sizes.lacking().items()}
        if late := [kept.until for kept in found.values() if kept.until > plan.until]:
            raise Failure(
                f"The batch uses rows of a batch that ends on {max(late)}: choose --until {max(late)} or later"
            )
        return found

    def _latest(self, table: str, need: str) -> Plan:
        """The latest batch with rows of that table."""
        row = self._connection.execute(
            "SELECT plan FROM shop.generated_batches"
            " WHERE (sizes->>%(table)s)::bigint > 0 AND %(table)s = ANY(tables)"
            " ORDER BY (plan->'first_ids'->>%(table)s)::bigint DESC LIMIT 1",
            {"table": table},
        ).fetchone()
        if row is None:
            raise Failure(f"{need}: generate some {table} first, or with them")
        return Plan.from_json(row[0])

    def _leaves(self) -> list[tuple[int, str]]:
        return self._connection.execute(
            "SELECT category_id, name FROM productcategories leaf WHERE NOT EXISTS"
            " (SELECT FROM productcategories WHERE parent_category_id = leaf.category_id) ORDER BY 1"
        ).fetchall()

    def _has_categories(self) -> bool:
        return self._connection.execute("SELECT FROM productcategories LIMIT 1").rowcount > 0

    def _take_ids(self, maker: Maker) -> dict[str, int]:
        """Reserve ids from the tables' own sequences, and return the first id of each table."""
        extra = extra_rows(maker.shop.plan.dirty)
        return {table: self._take(table, maker.shop.count(table) + extra.get(table, 0)) for table in TABLES}

    def _take(self, table: str, count: int) -> int:
        if count == 0:
            return 1
        row = self._connection.execute(
            "SELECT nextval(s), setval(s, currval(s) + %s - 1)"
            " FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS s) AS sequence",
            [count, table, KEYS[table]],
        ).fetchone()
        if row is None or row[0] is None:
            raise Failure(
                f"The column {KEYS[table]} of {table} has no sequence: run shop-init on an empty database"
            )
        return int(row[0])

    def _copy(self, table: str, pieces: Iterator[tuple[int, bytes]]) -> Iterator[int]:
        """Write pieces of rows, and yield the number of rows of each."""
        columns = sql.SQL(", ").join(map(sql.Identifier, SCHEMAS[table].names))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), columns)
        with self._connection.cursor() as cursor:
            while (piece := next(pieces, None)) is not None:
                with cursor.copy(statement) as copy:
                    written = 0
                    while piece is not None:
                        count, rows = piece
                        copy.write(rows)
                        yield count
                        written += count
                        piece = next(pieces, None) if written < ROWS_OF_A_COPY else None

    def _raise_earlier_users(self, users: Plan) -> None:
        """Update the status of the earlier batch's users, who have more points now."""
        first = users.first_ids["users"]
        self._connection.execute(
            "UPDATE users SET loyalty_status = CASE WHEN points >= %(gold)s THEN 'Gold'"
            " WHEN points >= %(silver)s THEN 'Silver' ELSE 'Bronze' END FROM ("
            " SELECT user_id, sum(points) AS points FROM loyaltypoints"
            " WHERE user_id >= %(first)s AND user_id < %(end)s GROUP BY user_id) AS sums"
            " WHERE users.user_id = sums.user_id",
            {
                "gold": POINTS_OF_GOLD,
                "silver": POINTS_OF_SILVER,
                "first": first,
                "end": first + users.sizes.users,
            },
        )


@contextmanager
def _in_a_sentence(table: str) -> Iterator[None]:
    """Turn violations of the table's constraints into a :class:`Failure`."""
    try:
        yield
    except psycopg.errors.ForeignKeyViolation as error:
        raise Failure(
            f"Rows of {table} reference missing rows ({error.diag.message_detail}):"
            " add the batch's other tables first, and do not delete rows of earlier batches"
        ) from error
    except psycopg.errors.UniqueViolation as error:
        raise Failure(
            f"Rows of {table} already exist ({error.diag.message_detail}), because ids were not taken from the"
            " sequence: set the sequence above the highest id"
        ) from error


def _as_csv(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, bytes]]:
    for rows in batches:
        yield rows.num_rows, as_csv(rows)


def _with_ids(plan: Plan, first_ids: Mapping[str, int]) -> Plan:
    if plan.adds_categories:
        leaves = own_leaves(plan.locale, first_ids["productcategories"])
        return replace(plan, first_ids=first_ids, leaves=leaves)
    return replace(plan, first_ids=first_ids)

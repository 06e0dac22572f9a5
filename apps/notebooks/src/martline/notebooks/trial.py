"""Tries a mart: computes and checks it like ``build-marts``, but does not publish it."""

from dataclasses import dataclass
from uuid import uuid4

import pandas as pd

from martline.marts import engines
from martline.marts.checks import run_checks_of
from martline.marts.definition import Mart
from martline.marts.full import read
from martline.marts.lineage import lineage
from martline.marts.statement import frame_of
from martline.marts.totals import counting
from martline.marts.writing.load import load
from martline.notebooks.databases import replica
from martline.notebooks.log import errors_into, log_file
from pg_to_mysql.command_line.environment import mysql_from_environment
from pg_to_mysql.mysql.collation import collation_on
from pg_to_mysql.mysql.quoting import quote


@dataclass(frozen=True)
class Trial:
    """The result of trying a mart."""

    rows: pd.DataFrame
    """The rows, as MySQL has stored them."""
    checks: pd.DataFrame
    """For each check: its outcome (``passed``, ``failed``, ``skipped``), how many rows violate it, and one of
    them."""
    lineage: pd.DataFrame
    """The ``table.column`` of the replica that each column is computed from."""


def try_mart(mart: Mart) -> Trial:
    """Build the mart from the current replica, in a separate table that is dropped at the end.

    The published marts, and the record of their runs, stay as they are.

    :raises Failure: a source is missing, or MySQL can't store the rows as they are.
    """
    settings = mysql_from_environment()
    with (
        settings.connect(autocommit=True) as connection,
        errors_into(log_file()),
        engines.opened() as engine,
        counting(settings) as totals,
    ):
        table = f"_trial_{uuid4().hex[:12]}"
        try:
            moment, columns = read(engine, connection, settings, [mart], totals)
            made = frame_of(mart, columns)
            with connection.cursor() as cursor:
                cursor.execute(mart.create_statement(table, made.schema(), collation_on(connection)))
            load(settings, table, engine.compute(made), mart.key)
            outcomes = list(run_checks_of(connection, mart, {mart.name: table}, moment, totals))
            rows = replica(f"SELECT * FROM {quote(table)} ORDER BY {', '.join(map(quote, mart.key))}")  # noqa: S608
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {quote(table)}")
    checks = [(outcome.check, outcome.state, outcome.offences, outcome.sample) for outcome in outcomes]
    origins = [(column, ", ".join(names)) for column, names in lineage(made).items()]
    return Trial(
        rows,
        pd.DataFrame(checks, columns=["check", "outcome", "offences", "sample"]),
        pd.DataFrame(origins, columns=["column", "follows from"]),
    )

"""A build: read the sources once, write each mart to its staging table, audit, swap in."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pymysql.connections import Connection
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as sf

from martline.command import Failure, MySQLSettings
from martline.marts import checks, publish, sources, spark
from martline.marts.definition import Mart
from martline.marts.publish import BUILDS, staging
from martline.marts.tls import java_stores

log = logging.getLogger(__name__)


def build(marts: Sequence[Mart], settings: MySQLSettings) -> dict[str, int]:
    """Build these marts and put them in the places of the old ones; returns the rows of each.

    Raises :class:`Failure` when a source is missing, Spark fails or a check does not hold; the old marts stay.
    """
    needed = sorted({source for mart in marts for source in mart.sources})
    published = [*(mart.name for mart in marts), BUILDS]
    with settings.connect(autocommit=True) as connection:
        publish.keep_others_out(connection)
        sources.require(connection, needed)
        publish.clear(connection, published)
        publish.stage_builds(connection)
        with java_stores(settings) as stores, spark.session() as session:
            rows = _stage(session, connection, spark.jdbc_options(settings) | stores, marts, needed)
        _, failed = checks.run(connection, {table: staging(table) for table in published})
        if failed:
            raise Failure(f"{'; '.join(failed)}; the old marts stay, the rejected ones are in {staging('*')}")
        publish.swap_in(connection, published)
    return rows


def _stage(
    session: SparkSession,
    connection: "Connection[Any]",
    jdbc: dict[str, str],
    marts: Sequence[Mart],
    needed: Sequence[str],
) -> dict[str, int]:
    built_at = datetime.now(UTC).replace(tzinfo=None)
    rows = {}
    with spark.failures("the source tables can't be read"):
        tables = {
            table: sources.read(session.read.format("jdbc").options(**jdbc), connection, table)
            for table in needed
        }
    for mart in marts:
        started = time.monotonic()
        with spark.failures(f"{mart.name} can't be built, the old marts stay"):
            frame = mart.build(*(tables[source] for source in mart.sources))
            with connection.cursor() as cursor:
                cursor.execute(mart.create_statement(staging(mart.name), frame.schema))
            rows[mart.name] = _write(frame, jdbc, staging(mart.name))
        seconds = round(time.monotonic() - started, 2)
        publish.record(connection, mart.name, rows[mart.name], seconds, built_at)
        log.info("%s: %d rows in %.1f s", mart.name, rows[mart.name], seconds)
    return rows


def _write(frame: DataFrame, jdbc: dict[str, str], table: str) -> int:
    """Append the frame to the table; returns how many rows Spark wrote."""
    written = Observation()
    counted = frame.observe(written, sf.count(sf.lit(1)).alias("rows"))
    counted.write.format("jdbc").options(**jdbc).option("dbtable", f"`{table}`").mode("append").save()
    return int(written.get["rows"])

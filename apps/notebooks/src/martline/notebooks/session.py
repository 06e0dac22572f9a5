"""Spark: a session for a notebook, and the replica's tables in it."""

import os

from pyspark.sql import DataFrame, SparkSession

from martline.marts.engines.spark import Spark, failures
from martline.marts.reading.moment import held
from martline.marts.reading.plan import readers, whole
from martline.notebooks.databases import replica
from martline.notebooks.log import errors_into, log_file
from pg_to_mysql.command_line.environment import mysql_from_environment

_COLUMNS = """
    SELECT column_name AS name FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position
"""


def spark() -> SparkSession:
    """The notebook's session on ``SPARK_MASTER``, the same each time.

    On a cluster it takes one core, and leaves the others to the DAGs. Spark's log is in :func:`log_file`.
    """
    master = os.environ.get("SPARK_MASTER") or "local[*]"
    os.environ["TZ"] = "UTC"
    with failures(f"Spark does not start on {master}: see {log_file()}: "), errors_into(log_file()):
        return (
            SparkSession.builder.master(master)
            .appName("notebook")
            .config("spark.cores.max", "1")
            .config("spark.executorEnv.TZ", "UTC")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.execution.arrow.pyspark.enabled", "true")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )


def tables(*names: str) -> tuple[DataFrame, ...]:
    """Tables of the replica in Spark, all as of one moment, with all of their columns.

    Spark's workers read them in ranges of their keys, and keep them. Replication waits while they are read.

    :raises Failure: a table is not there, or has a column or a key that can't be read.
    """
    settings = mysql_from_environment()
    needed = {name: tuple(replica(_COLUMNS, [name])["name"]) for name in names}
    session = spark()
    engine = Spark(session)
    with settings.connect(autocommit=True) as connection, held(settings) as moment:
        found = readers(connection, settings, moment, needed)
        engine.read(whole(connection, found, engine.parallel))
    return tuple(session.table(name) for name in names)

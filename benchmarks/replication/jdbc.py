"""Copy a table with Spark's JDBC source and sink, tuned."""

import os
import sys

from pyspark.sql import SparkSession

PARTITIONS = 6
BATCH = 10_000


def main() -> None:
    table, key, rows, drivers = sys.argv[1:]
    environment = os.environ
    spark = (
        SparkSession.builder.master("local[*]")
        .appName("jdbc")
        .config("spark.driver.extraClassPath", drivers)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    source = (
        spark.read.format("jdbc")
        .option("driver", "org.postgresql.Driver")
        .option(
            "url",
            f"jdbc:postgresql://{environment['PGHOST']}:{environment['PGPORT']}/{environment['PGDATABASE']}",
        )
        .option("user", environment["PGUSER"])
        .option("password", environment["PGPASSWORD"])
        .option("dbtable", table)
        .option("partitionColumn", key)
        .option("lowerBound", 1)
        .option("upperBound", rows)
        .option("numPartitions", PARTITIONS)
        .option("fetchsize", BATCH)
        .option("preferTimestampNTZ", "true")
        .load()
    )
    (
        source.write.format("jdbc")
        .mode("append")
        .option("driver", "com.mysql.cj.jdbc.Driver")
        .option(
            "url",
            f"jdbc:mysql://{environment['MYSQL_HOST']}:{environment['MYSQL_TCP_PORT']}"
            f"/{environment['MYSQL_DATABASE']}",
        )
        .option("user", environment["MYSQL_USER"])
        .option("password", environment["MYSQL_PWD"])
        .option("rewriteBatchedStatements", "true")
        .option("dbtable", table)
        .option("numPartitions", PARTITIONS)
        .option("batchsize", BATCH)
        .save()
    )
    spark.stop()


if __name__ == "__main__":
    main()

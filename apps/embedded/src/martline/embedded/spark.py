"""Spark in local mode: there is no server, only settings for the jobs."""

import sys
from pathlib import Path

from martline.embedded.kafka import java_property
from martline.embedded.state import State, write_private


def prepare(state: State) -> None:
    """Write Spark's own configuration folder."""
    (state.run / "spark").mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = _configuration_folder(state)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = {
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        # Other users of this machine can reach the ports of a job, but can't log in to it.
        "spark.authenticate": "true",
        # The number of cores of a small machine, because adaptive execution only merges partitions.
        "spark.sql.shuffle.partitions": "4",
    }
    write_private(
        folder / "spark-defaults.conf",
        "".join(f"{name} {java_property(str(value))}\n" for name, value in settings.items()),
    )
    write_private(
        folder / "log4j2.properties",
        "rootLogger.level = warn\n"
        "rootLogger.appenderRef.console.ref = console\n"
        "appender.console.type = Console\n"
        "appender.console.name = console\n"
        "appender.console.target = SYSTEM_ERR\n"
        "appender.console.layout.type = PatternLayout\n"
        "appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-7p %c{1}: %m%n\n",
    )


def environment(state: State, java_home: Path) -> dict[str, str]:
    """The variables for PySpark."""
    return {
        "JAVA_HOME": str(java_home),
        "SPARK_CONF_DIR": str(_configuration_folder(state)),
        "SPARK_LOCAL_DIRS": str(state.plain(state.run / "spark")),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_MASTER": "local[*]",
        # Otherwise Spark uses whatever `python3` is on the path.
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


def _configuration_folder(state: State) -> Path:
    """It is on Java's class path, which follows links and does not read every name, such as one with an emoji."""
    folder = state.run / "spark"
    return folder if state.plain(folder) == folder else state.runtime / "spark"

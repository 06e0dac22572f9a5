"""Spark in local mode: no server, only the settings that the jobs start with."""

from pathlib import Path

from embedded.state import State


def prepare(state: State, mysql_connector: Path) -> None:
    """Write Spark's own configuration folder."""
    folder = state.folder / "run" / "spark"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        # The class path, not spark.jars: a local job needs no copy of it, and its folder may have spaces.
        "spark.driver.extraClassPath": mysql_connector,
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        # As many as the cores of a small machine: adaptive execution only ever merges partitions.
        "spark.sql.shuffle.partitions": "4",
    }
    (folder / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    (folder / "log4j2.properties").write_text(
        "rootLogger.level = warn\n"
        "rootLogger.appenderRef.console.ref = console\n"
        "appender.console.type = Console\n"
        "appender.console.name = console\n"
        "appender.console.target = SYSTEM_ERR\n"
        "appender.console.layout.type = PatternLayout\n"
        "appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-7p %c{1}: %m%n\n"
    )


def environment(state: State, java_home: Path) -> dict[str, str]:
    """What PySpark reads."""
    return {
        "JAVA_HOME": str(java_home),
        "SPARK_CONF_DIR": str(state.folder / "run" / "spark"),
        "SPARK_LOCAL_DIRS": str(state.folder / "run" / "spark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_MASTER": "local[*]",
    }

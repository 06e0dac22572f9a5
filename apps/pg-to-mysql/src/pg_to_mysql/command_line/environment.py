"""The settings of the commands, from the same variables as those of the servers' own clients."""

import os
import re
from collections.abc import Mapping

from pg_to_mysql.errors import WrongSettings
from pg_to_mysql.mysql.settings import MySQLSettings, SSLMode
from pg_to_mysql.postgres.connection import ENCRYPTED, Source


def source_from_environment(environment: Mapping[str, str] = os.environ) -> Source:
    """The source, from libpq's own variables, which libpq reads itself.

    A ``PGSSLMODE`` that requires encryption overrides a service file.
    """
    mode = environment.get("PGSSLMODE", "")
    return Source(sslmode=mode) if mode in ENCRYPTED else Source()


def mysql_from_environment(environment: Mapping[str, str] = os.environ) -> MySQLSettings:
    """The target, from environment variables.

    These are ``MYSQL_HOST``, ``MYSQL_TCP_PORT``, ``MYSQL_USER``, ``MYSQL_PWD`` and ``MYSQL_DATABASE``, and for
    TLS ``MYSQL_SSL_MODE``, ``MYSQL_SSL_CA``, ``MYSQL_SSL_CERT`` and ``MYSQL_SSL_KEY``.
    """
    for name in ("MYSQL_HOST", "MYSQL_USER", "MYSQL_DATABASE"):
        if not environment.get(name):
            raise WrongSettings(f"{name} is not set: set it to reach MySQL")
    port = environment.get("MYSQL_TCP_PORT") or "3306"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise WrongSettings(f"MYSQL_TCP_PORT is {port!r}: set it to a port from 1 to 65535")
    return MySQLSettings(
        host=environment["MYSQL_HOST"],
        port=int(port),
        user=environment["MYSQL_USER"],
        database=environment["MYSQL_DATABASE"],
        password=environment.get("MYSQL_PWD", ""),
        ssl_mode=_ssl_mode(environment),
        ssl_ca=_file(environment, "MYSQL_SSL_CA"),
        ssl_cert=_file(environment, "MYSQL_SSL_CERT"),
        ssl_key=_file(environment, "MYSQL_SSL_KEY"),
    )


def spark_master_from_environment() -> str:
    """The cluster that ``SPARK_MASTER`` names, if any."""
    # Spark's own process only hands out tasks, and its compiler would take time from the servers.
    os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
    return os.environ.get("SPARK_MASTER", "")


def journal_mib_from_environment(environment: Mapping[str, str] = os.environ) -> int:
    """How large the journal of changed rows may be, as ``REPLICATION_JOURNAL_MIB`` says; 0 without it."""
    text = environment.get("REPLICATION_JOURNAL_MIB") or "0"
    if not re.fullmatch(r"[0-9]{1,7}", text):
        raise WrongSettings(
            f"REPLICATION_JOURNAL_MIB is {text!r}: a number of MiB is allowed, or 0 for no journal"
        )
    return int(text)


def _ssl_mode(environment: Mapping[str, str]) -> SSLMode:
    """The mode. If it is not set, an authority implies VERIFY_CA, and a client's certificate REQUIRED."""
    mode = environment.get("MYSQL_SSL_MODE")
    if mode:
        if mode.upper() not in SSLMode.__members__:
            raise WrongSettings(f"MYSQL_SSL_MODE is {mode!r}: set it to one of {', '.join(SSLMode)}")
        return SSLMode(mode.upper())
    if environment.get("MYSQL_SSL_CA"):
        return SSLMode.VERIFY_CA
    return SSLMode.REQUIRED if environment.get("MYSQL_SSL_CERT") else SSLMode.PREFERRED


def _file(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(name)
    if path and not os.access(path, os.R_OK):
        raise WrongSettings(f"{name} is {path!r}, which can't be read: set it to a readable file")
    return path or None

"""The MySQL (or MariaDB) that the commands write to, under the names that MySQL's own clients use."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.connections import Connection

from command.run import Failure, WrongSettings


@dataclass(frozen=True)
class MySQLSettings:
    """Where MySQL is and who asks."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "MySQLSettings":
        """Read ``MYSQL_HOST``, ``MYSQL_TCP_PORT``, ``MYSQL_USER``, ``MYSQL_PWD`` and ``MYSQL_DATABASE``."""
        for name in ("MYSQL_HOST", "MYSQL_USER", "MYSQL_DATABASE"):
            if not environment.get(name):
                raise WrongSettings(f"{name} is not set: set it to say where MySQL is")
        port = environment.get("MYSQL_TCP_PORT") or "3306"
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise WrongSettings(f"MYSQL_TCP_PORT is {port!r}: a port from 1 to 65535 is allowed")
        return cls(
            host=environment["MYSQL_HOST"],
            port=int(port),
            user=environment["MYSQL_USER"],
            database=environment["MYSQL_DATABASE"],
            password=environment.get("MYSQL_PWD", ""),
        )

    def connect(self, **options: Any) -> "Connection[Any]":
        """Connect in UTC and utf8mb4; ``options`` go to :func:`pymysql.connect`."""
        try:
            return pymysql.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=self.database,
                charset="utf8mb4",
                connect_timeout=10,
                init_command="SET time_zone = '+00:00'",
                **options,
            )
        except pymysql.OperationalError as error:
            raise Failure(
                f"MySQL at {self.host}:{self.port} does not let {self.user} into {self.database}: "
                f"{error.args[-1]}; check the MYSQL_ settings and that the server runs"
            ) from error

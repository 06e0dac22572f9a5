"""The MySQL (or MariaDB) that the commands write to, under the names that MySQL's own clients use."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, overload

import pymysql

from pg_to_mysql.errors import Failure, WrongSettings
from pg_to_mysql.mysql.connection import SafeConnection
from pg_to_mysql.mysql.session import pin

C = TypeVar("C", bound=SafeConnection)


class SSLMode(StrEnum):
    """What is asked of a connection's encryption, as by ``--ssl-mode`` of MySQL's clients."""

    DISABLED = "DISABLED"
    PREFERRED = "PREFERRED"
    """Encrypted if the server can; against nobody who can change what is sent."""
    REQUIRED = "REQUIRED"
    VERIFY_CA = "VERIFY_CA"
    """And the server's certificate is signed by the authority."""
    VERIFY_IDENTITY = "VERIFY_IDENTITY"
    """And is made for the host's name."""


@dataclass(frozen=True)
class MySQLSettings:
    """Where MySQL is and who asks."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)
    ssl_mode: SSLMode = SSLMode.PREFERRED
    ssl_ca: str | None = None
    """A file of certificates of authorities; without it, the system's are trusted."""
    ssl_cert: str | None = None
    """A file with the client's certificate."""
    ssl_key: str | None = None
    """A file with its key."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "MySQLSettings":
        """Read ``MYSQL_HOST``, ``MYSQL_TCP_PORT``, ``MYSQL_USER``, ``MYSQL_PWD``, ``MYSQL_DATABASE``, and for TLS
        ``MYSQL_SSL_MODE``, ``MYSQL_SSL_CA``, ``MYSQL_SSL_CERT`` and ``MYSQL_SSL_KEY``."""
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
            ssl_mode=_ssl_mode(environment),
            ssl_ca=_file(environment, "MYSQL_SSL_CA"),
            ssl_cert=_file(environment, "MYSQL_SSL_CERT"),
            ssl_key=_file(environment, "MYSQL_SSL_KEY"),
        )

    @overload
    def connect(self, **options: Any) -> SafeConnection: ...

    @overload
    def connect(self, kind: type[C], **options: Any) -> C: ...

    def connect(self, kind: type[SafeConnection] = SafeConnection, **options: Any) -> SafeConnection:
        """Connect in utf8mb4 with the settings of :mod:`pg_to_mysql.mysql.session`; ``options`` go to PyMySQL."""
        try:
            connection = kind(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=self.database,
                charset="utf8mb4",
                connect_timeout=10,
                **self._tls(),
                **options,
            )
        except pymysql.OperationalError as error:
            raise Failure(
                f"MySQL at {self.host}:{self.port} does not let {self.user} into {self.database}: "
                f"{error.args[-1]}; check the MYSQL_ settings and that the server runs"
            ) from error
        try:
            pin(connection)
            connection.rollback()  # to look at the settings has begun a transaction
        except BaseException:
            connection.close()
            raise
        return connection

    def _tls(self) -> dict[str, Any]:
        if self.ssl_mode is SSLMode.DISABLED:
            return {"ssl_disabled": True}
        if self.ssl_mode is SSLMode.PREFERRED:
            return {}
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca)
            if self.ssl_cert:
                context.load_cert_chain(self.ssl_cert, self.ssl_key)
        except (OSError, ssl.SSLError) as error:
            raise WrongSettings(
                f"The files of MYSQL_SSL_CA, MYSQL_SSL_CERT and MYSQL_SSL_KEY can't be used: {error}"
            ) from error
        # The certificates that MySQL makes for itself lack what Python 3.13 asks for beyond their signature.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = self.ssl_mode is SSLMode.VERIFY_IDENTITY
        if self.ssl_mode is SSLMode.REQUIRED:
            context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}


def _ssl_mode(environment: Mapping[str, str]) -> SSLMode:
    """An authority alone asks for its check, and a client's certificate for encryption."""
    mode = environment.get("MYSQL_SSL_MODE")
    if mode:
        if mode.upper() not in SSLMode.__members__:
            raise WrongSettings(f"MYSQL_SSL_MODE is {mode!r}: {', '.join(SSLMode)} are allowed")
        return SSLMode(mode.upper())
    if environment.get("MYSQL_SSL_CA"):
        return SSLMode.VERIFY_CA
    return SSLMode.REQUIRED if environment.get("MYSQL_SSL_CERT") else SSLMode.PREFERRED


def _file(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(name)
    if path and not os.access(path, os.R_OK):
        raise WrongSettings(f"{name} is {path!r}: no file there can be read")
    return path or None

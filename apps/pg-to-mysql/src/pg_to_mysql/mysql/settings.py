"""The target, a MySQL or MariaDB database, and connections to it."""

import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, overload

import pymysql

from pg_to_mysql.errors import Failure, Setting, WrongSettings
from pg_to_mysql.mysql.connection import SafeConnection, encrypting_context
from pg_to_mysql.mysql.session import pin

C = TypeVar("C", bound=SafeConnection)


class SSLMode(StrEnum):
    """The encryption that a connection requires, like ``--ssl-mode`` of MySQL's clients."""

    DISABLED = "DISABLED"
    PREFERRED = "PREFERRED"
    """Encrypted if the server supports it. It does not protect from attackers who can change the traffic."""
    REQUIRED = "REQUIRED"
    VERIFY_CA = "VERIFY_CA"
    """Encrypted, and the authority must have signed the server's certificate."""
    VERIFY_IDENTITY = "VERIFY_IDENTITY"
    """The same, and the certificate must be for the host's name."""


@dataclass(frozen=True)
class MySQLSettings:
    """The address of MySQL, and the user."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)
    ssl_mode: SSLMode = SSLMode.PREFERRED
    ssl_ca: str | None = None
    """A file with certificates of authorities; without it, the system's authorities are trusted."""
    ssl_cert: str | None = None
    """A file with the client's certificate."""
    ssl_key: str | None = None
    """A file with the key of the client's certificate."""

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
                f"{error.args[-1]}; check the target's settings and that the server runs",
                settings={Setting.TARGET: None},
            ) from error
        try:
            pin(connection)
            connection.rollback()  # reading the settings has begun a transaction
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
            if self.ssl_mode is SSLMode.REQUIRED and not self.ssl_ca:
                context = encrypting_context()
            else:
                context = ssl.create_default_context(cafile=self.ssl_ca)
            if self.ssl_cert:
                context.load_cert_chain(self.ssl_cert, self.ssl_key)
        except (OSError, ssl.SSLError) as error:
            raise WrongSettings(
                f"The files ssl_ca, ssl_cert and ssl_key of the target can't be used: {error}",
                settings={Setting.TARGET_SSL_FILES: None},
            ) from error
        # MySQL's self-made certificates lack fields that Python 3.13 requires by default.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = self.ssl_mode is SSLMode.VERIFY_IDENTITY
        if self.ssl_mode is SSLMode.REQUIRED:
            context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}

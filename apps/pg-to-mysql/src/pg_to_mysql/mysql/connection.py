"""A PyMySQL connection that gives the server no files, and no password in clear text."""

import socket
import ssl
from typing import TYPE_CHECKING, Any

from pymysql import connections

from pg_to_mysql.errors import Failure, Setting

PROVED_WITHOUT_SENDING = frozenset(
    (b"caching_sha2_password", b"sha256_password", b"mysql_native_password", b"client_ed25519")
)
"""Authentication methods that send a proof of the password, or the password encrypted with the server's key."""
KEEPALIVE = {
    name: value
    for name, value in {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}.items()
    if hasattr(socket, name)
}
"""As in :mod:`pg_to_mysql.postgres.session`; options that the system does not know are left out."""


def encrypting_context() -> ssl.SSLContext:
    """Settings for connections that are encrypted but do not verify the server.

    They do not need the system's authorities, whose reading takes 20 ms.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


if TYPE_CHECKING:
    Connection = connections.Connection[Any]
else:
    Connection = connections.Connection


class SafeConnection(Connection):
    """A connection that trusts the server no more than necessary.

    A MySQL server chooses how its client logs in, and may ask for any file of the client in answer to any
    statement. See *Security Considerations for LOAD DATA LOCAL* in MySQL's documentation.
    """

    _secure: bool

    def _process_auth(self, plugin_name: bytes, auth_packet: Any, handler: Any = None) -> Any:
        if not self._secure and plugin_name not in PROVED_WITHOUT_SENDING:
            raise Failure(
                f"MySQL at {self.host}:{self.port} asks for {self._user_name()}'s password in clear"
                f" ({plugin_name.decode(errors='replace')}) on a connection without TLS: let the server have"
                " TLS, and set ssl_mode=REQUIRED or stricter",
                settings={Setting.TARGET_SSL_MODE: "REQUIRED"},
            )
        return super()._process_auth(plugin_name, auth_packet, handler)  # type: ignore[misc]

    def _create_ssl_ctx(self, options: dict[str, Any] | ssl.SSLContext) -> ssl.SSLContext:
        """The TLS settings from the options; without options, settings that verify nothing, as in PyMySQL."""
        return super()._create_ssl_ctx(options) if options else encrypting_context()  # type: ignore[misc]

    def connect(self, sock: socket.socket | None = None) -> None:
        """Connect with keepalives, so that a dead peer is noticed within minutes."""
        super().connect(sock)
        connected: socket.socket = self._sock  # type: ignore[attr-defined]
        for option, value in KEEPALIVE.items():
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        try:
            return super()._read_query_result(unbuffered)  # type: ignore[misc]
        except RuntimeError as error:  # this is how PyMySQL reports that the server asks for a file
            raise self.asks_for_a_file() from error

    def asks_for_a_file(self) -> Failure:
        """End the connection to a server that asks for something it must not get."""
        self._force_close()  # type: ignore[attr-defined]
        return Failure(
            f"MySQL at {self.host}:{self.port} asks for a file of this machine, which no statement has offered:"
            " find out whether it is the server that you mean, and whether somebody has changed it"
        )

    def _user_name(self) -> str:
        return self.user.decode(errors="replace") if isinstance(self.user, bytes) else str(self.user)

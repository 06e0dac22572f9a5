"""``LOAD DATA LOCAL``: the only way in which the server gets data outside a statement."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import OKPacketWrapper

from pg_to_mysql.mysql.connection import SafeConnection
from pg_to_mysql.rows import BLOCK_BYTES, Write


@dataclass(frozen=True)
class Loaded:
    """What the server reports about a load."""

    rows: int
    warnings: int
    """Includes rows that it has not stored."""


class LoadingConnection(SafeConnection):
    """A connection that can send rows for ``LOAD DATA LOCAL``, and never a file."""

    def __init__(self, **options: Any) -> None:
        # `local_infile` stays off: it would let PyMySQL send whatever file the server names.
        super().__init__(**options, client_flag=CLIENT.LOCAL_FILES)

    def load(self, statement: str, name: str, write: Write, packet_bytes: int) -> Loaded:
        """Run ``LOAD DATA LOCAL INFILE '<name>' …``, for which ``write`` writes the data.

        The data is sent in packets of at most ``packet_bytes``. If ``write`` fails, the data written before is
        loaded, and the failure is raised after the server has answered.
        """
        connection: Any = self
        connection._execute_command(COMMAND.COM_QUERY, statement)
        request = connection._read_packet()
        # The name is in the server's `character_set_filesystem`, which may encode a letter as two or four bytes.
        asked = request.get_all_data()[1:].replace(b"\0", b"")
        if not request.is_load_local_packet() or asked != name.encode():
            raise self.asks_for_a_file()
        packets = _Packets(connection, packet_bytes)
        try:
            write(packets)
            packets.flush()
        except Exception:
            if self.open:
                with suppress(pymysql.MySQLError):
                    connection.write_packet(b"")
                    connection._read_packet()
            raise
        except BaseException:
            connection._force_close()  # the failure may have interrupted a packet
            raise
        connection.write_packet(b"")
        answer = OKPacketWrapper(connection._read_packet())
        connection.server_status = answer.server_status
        return Loaded(answer.affected_rows, answer.warning_count)


class _Packets:
    """The packets of one load. An empty packet would end the load."""

    def __init__(self, connection: Any, most: int) -> None:
        self._connection = connection
        self._most = min(most, BLOCK_BYTES)
        self._held = bytearray()

    def write(self, data: bytes | memoryview, /) -> None:
        self._held += data
        if len(self._held) >= self._most:
            self.flush()

    def flush(self) -> None:
        for start in range(0, len(self._held), self._most):
            self._connection.write_packet(self._held[start : start + self._most])
        self._held.clear()

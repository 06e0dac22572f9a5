"""Servers that behave like an attacker's. They speak only as much of the protocols as an attack needs."""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Conversation = Callable[[Any], None]
CAPABILITIES = 0x00FF_FFFF & ~0x0800  # all capabilities of a MySQL server except TLS


@contextmanager
def false_server(talk: Conversation) -> Iterator[int]:
    """The port of a server that has this conversation with each client."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            talk(self)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


class FalseMySQL:
    """A false MySQL, which asks for a way to log in, and answers each statement with a request for a file."""

    def __init__(self, plugin: bytes | None, path: bytes, answers_before: int = 0) -> None:
        self.received: list[bytes] = []
        """All packets after the client's first."""
        self._plugin = plugin
        self._path = path
        self._answers_before = answers_before

    def __call__(self, handler: Any) -> None:
        salt = b"12345678901234567890"
        low, high = CAPABILITIES & 0xFFFF, CAPABILITIES >> 16
        greeting = (
            b"\x0a9.7.0\0" + struct.pack("<I", 1) + salt[:8] + b"\0" + struct.pack("<HBHH", low, 45, 2, high)
        )
        _send(handler, 0, greeting + b"\x15" + b"\0" * 10 + salt[8:] + b"\0mysql_native_password\0")
        number, _ = _receive(handler)
        if self._plugin is not None:
            _send(handler, number + 1, b"\xfe" + self._plugin + b"\0" + b"\0" * 20 + b"\0")
            try:
                number, answer = _receive(handler)
            except EOFError:
                return
            self.received.append(answer)
        _send(handler, number + 1, b"\0\0\0\2\0\0\0")
        try:
            while True:
                number, statement = _receive(handler)
                self.received.append(statement)
                if self._answers_before:
                    self._answers_before -= 1
                    _send(handler, number + 1, b"\0\0\0\2\0\0\0")
                else:
                    _send(handler, number + 1, b"\xfb" + self._path)
        except EOFError:
            pass


def _send(handler: Any, number: int, payload: bytes) -> None:
    handler.wfile.write(len(payload).to_bytes(3, "little") + bytes([number]) + payload)


def _receive(handler: Any) -> tuple[int, bytes]:
    head = handler.rfile.read(4)
    if len(head) < 4:
        raise EOFError
    return head[3], handler.rfile.read(int.from_bytes(head[:3], "little"))


class FalsePostgreSQL:
    """A false PostgreSQL, which has no encryption and asks for the password in plain text."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def __call__(self, handler: Any) -> None:
        while True:
            length, kind = struct.unpack("!II", handler.rfile.read(8))
            handler.rfile.read(length - 8)
            if kind >> 16 == 3:
                break
            handler.wfile.write(b"N")  # no TLS, no GSSAPI
        handler.wfile.write(b"R" + struct.pack("!II", 8, 3))
        self.received.append(handler.rfile.read(1))

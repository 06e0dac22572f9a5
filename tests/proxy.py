"""A TCP proxy that cuts, half-closes and delays connections, as networks do."""

import random
import socket
import struct
import threading
import time
from contextlib import suppress

PART_BYTES = 64 << 10


class Proxy:
    """Forwards connections to a port of this machine; ``misbehave`` disturbs one of them."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self._upstream = port
        self._chance = chance
        self._lock = threading.Lock()
        self._open: list[_Forwarded] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def misbehave(self) -> str:
        """Cut, half-close or delay a random open connection, and return what was done."""
        with self._lock:
            self._open = [forwarded for forwarded in self._open if not forwarded.ended]
            if not self._open:
                return "nothing"
            forwarded = self._chance.choice(self._open)
            what = self._chance.choice(["cut", "close_one_way", "delay"])
            getattr(forwarded, what)(self._chance)
            return what

    def close(self) -> None:
        """Accept no more connections, and cut the open ones."""
        self._listening.close()
        with self._lock:
            for forwarded in self._open:
                forwarded.cut(self._chance)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._upstream))
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._open.append(_Forwarded(client, server))


class _Forwarded:
    """One connection, and the two threads that forward its bytes."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ended = False
        self._ends = (client, server)
        self._wait_until = 0.0
        self._closed_towards: set[socket.socket] = set()
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def cut(self, _: random.Random) -> None:
        """Reset both ends."""
        self.ended = True
        for end in self._ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close_one_way(self, chance: random.Random) -> None:
        """Tell one end that the other one sends no more, and discard what it still sends."""
        end = chance.choice(self._ends)
        self._closed_towards.add(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_WR)

    def delay(self, chance: random.Random) -> None:
        """Forward nothing for a while."""
        self._wait_until = time.monotonic() + chance.uniform(0.5, 3)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(PART_BYTES):
                time.sleep(max(0.0, self._wait_until - time.monotonic()))
                if target not in self._closed_towards:
                    target.sendall(part)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        self.ended = True

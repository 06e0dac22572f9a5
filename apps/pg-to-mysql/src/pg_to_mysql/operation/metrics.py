"""The status of a followed replica, as Prometheus metrics over HTTP."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from pg_to_mysql.changes.apply import Applied
from pg_to_mysql.errors import Failure, Kind
from pg_to_mysql.operation.observer import Observer
from pg_to_mysql.operation.status import Status


class Metrics(Observer):
    """The metrics of a follower; see docs/replication-operation.md. HTTP may read them at any time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._reached = time.time()
        """The time before which everything committed is in MySQL."""
        self._applying = True
        self._interrupted_at: float | None = None

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"replication_{name}", text, labels, registry=self.registry)

        gauge(
            "lag_seconds", "Everything committed longer ago than this is in MySQL; 0 if MySQL has all changes."
        ).set_function(self._lag)
        self._lag_bytes = gauge("lag_bytes", "Bytes of PostgreSQL's log that are not applied yet.")
        self._retained = gauge("slot_retained_wal_bytes", "Bytes of PostgreSQL's log that are kept for the slot.")
        self._safe = gauge("slot_safe_wal_bytes", "Bytes of log until the slot is lost; NaN without a limit.")
        self._committed = gauge(
            "last_commit_timestamp_seconds", "When the last applied transaction was committed."
        )
        self._rows_copied = gauge("table_rows_copied", "Rows of the table's copy.", "table")
        self._state = gauge(
            "table_state", "1 for the state that the table is in, 0 for others.", "table", "state"
        )
        gauge(
            "interrupted_seconds", "For how long nothing could be applied; 0 while changes are applied."
        ).set_function(self._interrupted)
        self._interruptions = Counter(
            "replication_interruptions",
            "How often the program had to connect again.",
            ["cause"],
            registry=self.registry,
        )
        for kind in Kind:
            self._interruptions.labels(kind.value)
        self._changes = Counter("replication_changes_applied", "Row changes applied.", registry=self.registry)
        self._rows = Counter("replication_rows_written", "Rows written or deleted.", registry=self.registry)

    def serve(self, address: str, port: int) -> None:
        """Serve HTTP on this address until the program ends."""
        try:
            start_http_server(port, address, self.registry)
        except OSError as error:
            raise Failure(
                f"The metrics can't be served on {address}:{port} ({error.strerror}): choose another port"
            ) from error

    @contextmanager
    def applying(self) -> Iterator[None]:
        """A block that applies everything committed before it begins."""
        began = time.time()
        with self._lock:
            self._applying = True
        yield
        with self._lock:
            self._applying = False
            self._reached = began

    def interrupted(self, kind: Kind) -> None:
        """Note that nothing can be applied for now; the lag grows from the last moment reached."""
        self._interruptions.labels(kind.value).inc()
        with self._lock:
            self._applying = True
            self._interrupted_at = self._interrupted_at or time.time()

    def goes_on(self) -> None:
        """Note that changes are applied again."""
        with self._lock:
            self._interrupted_at = None

    def add(self, applied: Applied) -> None:
        """Count what has been applied."""
        self._changes.inc(applied.changes)
        self._rows.inc(applied.rows_written)
        if applied.committed_at:
            self._committed.set(applied.committed_at)

    def show(self, status: Status) -> None:
        """Show what :func:`pg_to_mysql.operation.status.read_status` has read."""
        self._lag_bytes.set(status.lag_bytes or 0)
        self._retained.set(status.retained_wal_bytes)
        self._safe.set(float("nan") if status.safe_wal_bytes is None else status.safe_wal_bytes)
        for name, table in status.tables.items():
            self._rows_copied.labels(name).set(table.rows_copied or 0)
            for state in ("copying", "copied", "stopped"):
                self._state.labels(name, state).set(state == table.state)

    def _interrupted(self) -> float:
        with self._lock:
            return time.time() - self._interrupted_at if self._interrupted_at else 0.0

    def _lag(self) -> float:
        """The lag; 0 between two checks of a source whose changes are all applied."""
        with self._lock:
            return time.time() - self._reached if self._applying else 0.0

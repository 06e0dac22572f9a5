"""A replica's status as a table for people."""

from rich.console import Console
from rich.table import Table

from pg_to_mysql.operation.status import Status, format_size


def show_status(status: Status, console: Console) -> None:
    """Print the status as a table."""
    lag = "unknown" if status.lag_seconds is None else f"{status.lag_seconds:.1f} s"
    behind = "" if status.lag_bytes is None else f", {format_size(status.lag_bytes)} of log"
    console.print(
        f"slot {status.slot}: {status.slot_state}; PostgreSQL keeps"
        f" {format_size(status.retained_wal_bytes)} for it; lag: {lag}{behind}"
    )
    table = Table("table", "state", "rows copied", "copied at (UTC)", "reason", box=None)
    for name, known in status.tables.items():
        rows = "" if known.rows_copied is None else f"{known.rows_copied:,}"
        at = f"{known.copied_at:%Y-%m-%d %H:%M:%S}" if known.copied_at else ""
        table.add_row(name, known.state, rows, at, known.reason)
    console.print(table)

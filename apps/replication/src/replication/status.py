"""What is known of a replica: how far it is behind, and what was copied when."""

from typing import Any

from replication import source
from replication.replica import Replica


def read_status(replica: Replica) -> dict[str, Any]:
    """Slot, lag in bytes and seconds, and each table's rows and time of copy; times are UTC."""
    slot = source.read_slot(replica.connection, replica.slot)
    applied = replica.target.applied_lsn(replica.slot)
    lag_bytes = None if applied is None else max(0, source.current_lsn(replica.connection) - applied)
    rows = replica.target.execute(
        "SELECT name, snapshot_lsn IS NOT NULL, rows_copied, copied_at FROM _replication_tables"
        " WHERE slot = %s ORDER BY name",
        [replica.slot],
    )
    return {
        "slot": replica.slot,
        "slot_state": "missing" if slot is None else "lost" if slot.lost else "ready",
        "applied_lsn": None if applied is None else source.format_lsn(applied),
        "lag_bytes": lag_bytes,
        "seconds_since_equal": replica.target.seconds_since_equal(replica.slot),
        "tables": {
            name: {"complete": bool(complete), "rows_copied": copied, "copied_at": at}
            for name, complete, copied, at in rows
        },
    }

"""Whether the stream of a slot continues what MySQL has.

If PostgreSQL was restored to an earlier moment, together with its slot, and has written more since then, the
stream has other transactions at the positions that were already applied. A stream that begins before MySQL's
position gives applied transactions again: it must contain the last of them, and none that MySQL does not know.
"""

import numpy as np

from pg_to_mysql.errors import Failure, Setting
from pg_to_mysql.identity.identity import START_OVER
from pg_to_mysql.mysql.state import Transaction
from pg_to_mysql.postgres import wal
from pg_to_mysql.postgres.pgoutput import BEGIN, Messages


class History:
    """Checks the transactions of a stream that begins at the LSN ``since``, until they are new to MySQL."""

    def __init__(self, last: Transaction | None, since: int, applied: int) -> None:
        # An earlier version of this program stored no transaction to look for.
        self._looking = last is not None
        self._last = last or Transaction(0, None)
        self._applied = applied
        self._missing = self._last.committed_at is not None and self._last.lsn >= since

    def look(self, messages: Messages) -> None:
        """Fail if the messages do not belong to the history that MySQL has."""
        if not self._looking:
            return
        last = self._last
        known = last.lsn if last.committed_at is not None else last.lsn - 1
        starts = messages.starts[messages.kinds == BEGIN]
        lsns = messages.number(8, starts + 1)
        times = messages.number(8, starts + 9)
        for lsn, time in zip(lsns.tolist(), times.tolist(), strict=True):
            if lsn == known and time == last.committed_at:
                self._missing = False
            elif lsn == known or (lsn > known and (self._missing or lsn < self._applied)):
                raise self._another(lsn)
            elif lsn > known:
                self._looking = False
                return

    def end(self) -> None:
        """Fail if the log has been read to its end without MySQL's last transaction."""
        if self._missing:
            raise self._another(None)
        self._looking = False

    def _another(self, lsn: int | None) -> Failure:
        found = "none" if lsn is None else f"another one at {wal.format_lsn(lsn)}"
        return Failure(
            "PostgreSQL was restored to an earlier moment, and its log has continued from there: MySQL's last"
            f" transaction is the one at {wal.format_lsn(self._last.lsn)}, but the slot has {found};"
            f" use a source that has everything, or {START_OVER}",
            settings={Setting.SOURCE: None, Setting.START_OVER: None},
        )


def last_begun(messages: Messages) -> Transaction | None:
    """The last transaction that begins among the messages."""
    begins = np.flatnonzero(messages.kinds == BEGIN)
    if not len(begins):
        return None
    start = messages.starts[begins[-1:]]
    return Transaction(int(messages.number(8, start + 1)[0]), int(messages.number(8, start + 9)[0]))

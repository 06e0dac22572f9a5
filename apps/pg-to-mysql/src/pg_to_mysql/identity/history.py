"""Whether the stream that a slot gives is the continuation of what MySQL has.

PostgreSQL that was put back to an earlier moment, slot and all, and has gone on since, gives other transactions
under the numbers of those that were applied. Where the stream begins before MySQL's position, it gives applied
transactions again: it must give the last of them, and none that MySQL does not know.
"""

import numpy as np

from pg_to_mysql.errors import Failure, Setting
from pg_to_mysql.identity.identity import START_OVER
from pg_to_mysql.mysql.state import Transaction
from pg_to_mysql.postgres import wal
from pg_to_mysql.postgres.pgoutput import BEGIN, Messages


class History:
    """Looks at the transactions of a stream that begins at the LSN ``since``, until all are new to MySQL."""

    def __init__(self, last: Transaction | None, since: int, applied: int) -> None:
        # What an earlier version of this program has applied can't be looked for.
        self._looking = last is not None
        self._last = last or Transaction(0, None)
        self._applied = applied
        self._missing = self._last.committed_at is not None and self._last.lsn >= since

    def look(self, messages: Messages) -> None:
        """Fail if the messages are not of the history that MySQL has."""
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
        """Fail if the log has been read to its end without the transaction that MySQL had last."""
        if self._missing:
            raise self._another(None)
        self._looking = False

    def _another(self, lsn: int | None) -> Failure:
        found = "none" if lsn is None else f"another one at {wal.format_lsn(lsn)}"
        return Failure(
            "PostgreSQL was put back to an earlier moment, and its log has gone on from there: MySQL has the"
            f" transaction at {wal.format_lsn(self._last.lsn)} last, and the slot gives {found} instead;"
            f" let the source be a server that has everything, or {START_OVER}",
            settings={Setting.SOURCE: None, Setting.START_OVER: None},
        )


def last_begun(messages: Messages) -> Transaction | None:
    """The last transaction that begins among the messages."""
    begins = np.flatnonzero(messages.kinds == BEGIN)
    if not len(begins):
        return None
    start = messages.starts[begins[-1:]]
    return Transaction(int(messages.number(8, start + 1)[0]), int(messages.number(8, start + 9)[0]))
